// How fast a report decoder of 0.07 B values writes, by weights from a formula: the size of the paper's on
// the published image tower. usage: report-bench [PRECISION [TOKENS]]
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "backend/precision.h"
#include "backend/registry.h"
#include "model/report_decoder.h"
#include "weights/procedural.h"

namespace {

using namespace mii;
using Clock = std::chrono::steady_clock;

constexpr ReportDecoderConfig kConfig{.context_length = 256,
                                      .width = 512,
                                      .heads = 8,
                                      .layers = 10,
                                      .image_dim = 2048,
                                      .vocabulary = 49408,
                                      .least_support = {}};
constexpr int64_t kImageTokens = 225;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Texts of so many tokens each, side by side. Prints the time to the first and between the others.
void write_texts(const ReportDecoder& decoder, Backend& backend, ConstRows image, size_t texts,
                 size_t tokens) {
  std::vector<float> logits(texts * static_cast<size_t>(kConfig.vocabulary));
  const std::vector<int32_t> begin{49406, 49407}, word{1125};
  const auto start = Clock::now();
  ReportSession session(decoder, image, texts, static_cast<int64_t>(texts * (tokens + 2)));
  std::vector<PartialText> all(texts);
  std::vector<ReportSession::Growth> growths;
  for (size_t t = 0; t < texts; ++t) {
    all[t].image = t;
    growths.push_back({&all[t], begin});
  }
  backend.download(session.extend(growths), logits);
  const double first = seconds_since(start);
  for (auto& growth : growths) growth.ids = word;
  for (size_t i = 1; i < tokens; ++i) backend.download(session.extend(growths), logits);
  const double all_seconds = seconds_since(start);
  std::printf("%zu at once: first token after %.1f ms, then %.1f tokens/s\n", texts, 1e3 * first,
              static_cast<double>(texts * (tokens - 1)) / (all_seconds - first));
}

}  // namespace

int main(int argc, char** argv) {
  const Precision precision = parse_precision(argc > 1 ? argv[1] : "bf16");
  const size_t tokens = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 100;
  const auto file = std::filesystem::temp_directory_path() / ("mii-report-bench-" + std::to_string(getpid()));
  const std::vector<TensorSpec> specs = report_decoder_specs(kConfig);
  write_procedural_weights(specs, file);
  {
    const Checkpoint checkpoint = Checkpoint::open(file, specs);
    const auto backend = find_backend("auto").make({.precision = precision});
    backend->attach_thread();
    const ReportDecoder decoder(kConfig, checkpoint, *backend);
    std::printf("%.1f M values, %s, %s\n", static_cast<double>(checkpoint.parameters()) / 1e6,
                to_string(precision), backend->description().c_str());
    Buffer buffer(*backend);
    const Rows images = buffer.take(4 * kImageTokens, kConfig.image_dim);
    std::vector<float> values(static_cast<size_t>(images.elements()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7 % 13) - 6;
    backend->upload(values, images);
    for (const size_t texts : {1, 1, 4})
      write_texts(decoder, *backend, images.slice(0, static_cast<int64_t>(texts) * kImageTokens), texts,
                  tokens);
  }
  std::filesystem::remove(file);
  return 0;
}
