#include "dataset/report_problem.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "mii/error.h"

namespace mii {
namespace {

using Key = std::pair<const char*, int64_t ReportDecoderConfig::*>;
constexpr std::array<Key, 6> kKeys{{{"context_length", &ReportDecoderConfig::context_length},
                                    {"width", &ReportDecoderConfig::width},
                                    {"heads", &ReportDecoderConfig::heads},
                                    {"layers", &ReportDecoderConfig::layers},
                                    {"image_dim", &ReportDecoderConfig::image_dim},
                                    {"vocabulary", &ReportDecoderConfig::vocabulary}}};

[[noreturn]] void damaged(const std::string& what) {
  throw Error(ErrorCode::corrupt_weights, "the problem of a report decoder: " + what);
}

ReportDecoderConfig config_of(const Safetensors& file) {
  ReportDecoderConfig config;
  for (const auto& [key, member] : kKeys) {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) damaged(std::string("no '") + key + "'");
    const std::string& text = found->second;
    std::from_chars(text.data(), text.data() + text.size(), config.*member);
    if (config.*member < 1 && member != &ReportDecoderConfig::layers) damaged(std::string("no ") + key);
  }
  if (config.width % config.heads != 0) damaged("heads that do not divide the width");
  return config;
}

std::map<std::string, std::string> metadata_of(const ReportDecoderConfig& config) {
  std::map<std::string, std::string> metadata;
  for (const auto& [key, member] : kKeys) metadata.emplace(key, std::to_string(config.*member));
  return metadata;
}

std::vector<SafetensorsWriter::Entry> entries_of(const ReportProblem& problem) {
  int64_t ids = 0;
  for (const ReportText& text : problem.texts) ids += static_cast<int64_t>(text.ids.size());
  const auto texts = static_cast<int64_t>(problem.texts.size());
  return {{"tokens", DType::bf16, {problem.images, problem.image_tokens, problem.config.image_dim}},
          {"ids", DType::i32, {ids}},
          {"texts", DType::i64, {texts, 4}},
          {"use", DType::u8, {texts, 1}}};
}

template <typename T>
std::vector<T> values(const Safetensors& file, const char* name, const char* dtype, size_t rank) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end() || found->second.dtype != dtype || found->second.shape.size() != rank)
    damaged(std::string("no tensor '") + name + "'");
  std::vector<T> copy(found->second.data.size() / sizeof(T));
  std::memcpy(copy.data(), found->second.data.data(), found->second.data.size());
  return copy;
}

}  // namespace

ReportProblemWriter::ReportProblemWriter(const ReportProblem& problem, const std::filesystem::path& path)
    : file_(path, entries_of(problem), metadata_of(problem.config)) {}

void ReportProblemWriter::add_image(std::span<const float> tokens) {
  std::vector<BFloat16> rounded(tokens.size());
  std::ranges::transform(tokens, rounded.begin(), [](float v) { return to_bfloat16(v); });
  file_.write(std::as_bytes(std::span(rounded)));
}

void ReportProblemWriter::commit(const ReportProblem& problem) {
  std::vector<int64_t> texts;
  std::vector<uint8_t> use;
  int64_t begin = 0;
  for (const ReportText& text : problem.texts) {
    const int64_t end = begin + static_cast<int64_t>(text.ids.size());
    file_.write(std::as_bytes(std::span(text.ids)));
    texts.insert(texts.end(), {begin, end, text.report, text.image});
    use.push_back(static_cast<uint8_t>(text.use));
    begin = end;
  }
  file_.write(std::as_bytes(std::span(texts)));
  file_.write(std::as_bytes(std::span(use)));
  file_.commit();
}

ReportProblemFile ReportProblemFile::open(const std::filesystem::path& path) {
  ReportProblemFile opened(MappedFile::open(path));
  const Safetensors file = parse_safetensors(opened.file_.bytes(), path.string());
  ReportProblem& problem = opened.problem_;
  problem.config = config_of(file);
  const auto tokens = file.tensors.find("tokens");
  if (tokens == file.tensors.end() || tokens->second.dtype != "BF16" || tokens->second.shape.size() != 3 ||
      tokens->second.shape[2] != problem.config.image_dim)
    damaged("no tokens of the decoder's width");
  problem.images = tokens->second.shape[0];
  problem.image_tokens = tokens->second.shape[1];
  const auto& data = tokens->second.data;
  opened.tokens_ = {reinterpret_cast<const BFloat16*>(data.data()), data.size() / sizeof(BFloat16)};

  const std::vector<int32_t> ids = values<int32_t>(file, "ids", "I32", 1);
  const std::vector<int64_t> texts = values<int64_t>(file, "texts", "I64", 2);
  const std::vector<uint8_t> use = values<uint8_t>(file, "use", "U8", 2);
  if (texts.size() != 4 * use.size()) damaged("texts that do not fit each other");
  for (const int32_t id : ids)
    if (id < 0 || id >= problem.config.vocabulary) damaged("a token beyond the vocabulary");
  for (size_t t = 0; t < use.size(); ++t) {
    if (use[t] == static_cast<uint8_t>(ReportText::Use::leave_out)) continue;
    const int64_t begin = texts[4 * t], end = texts[4 * t + 1], report = texts[4 * t + 2];
    const int64_t image = texts[4 * t + 3];
    if (begin < 0 || begin >= end || end > static_cast<int64_t>(ids.size()) || report < 1 ||
        report >= end - begin || end - begin > problem.config.context_length || image < 0 ||
        image >= problem.images || use[t] > 2)
      damaged("text " + std::to_string(t) + " is not where it should be");
    problem.texts.push_back(
        {{ids.begin() + begin, ids.begin() + end}, report, image, static_cast<ReportText::Use>(use[t])});
  }
  return opened;
}

}  // namespace mii
