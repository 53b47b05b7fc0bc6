// The report decoder in LibTorch against the one that the program runs, and its training.
#include "train/report.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "backend/registry.h"
#include "core/file.h"
#include "dataset/report_problem.h"
#include "mii/error.h"
#include "model/report_writer.h"
#include "report_decoder_golden.h"
#include "train/report_layers.h"
#include "train/state.h"
#include "weights/procedural.h"
#include "weights/report_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using torch::Tensor;

constexpr int32_t kStart = 0, kEnd = 1;
constexpr ReportDecoderConfig kConfig{.context_length = 16,
                                      .width = 32,
                                      .heads = 2,
                                      .layers = 2,
                                      .image_dim = 24,
                                      .vocabulary = 20,
                                      .least_support = {}};
constexpr int64_t kTokens = 4;

class ReportTrainer : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  ReportTraining options() const {
    return {.problem = folder_ / "problem",
            .out = folder_ / "run",
            .epochs = 30,
            .batch = 8,
            .learning_rate = 5e-3,
            .average_decay = 0.9,
            .label_smoothing = 0,
            .dropout = 0.05,
            .threads = 2,
            .device = "cpu",
            .quiet = true};
  }

  // The four kinds of images, each with noise. What is to be said of kind k is k, twice; with the prompt 9 it
  // is said with 10 behind it.
  static std::vector<float> image(int64_t kind, int64_t number) {
    std::vector<float> tokens(kTokens * kConfig.image_dim);
    std::mt19937 engine(static_cast<uint32_t>(number));
    std::normal_distribution<float> noise(0, 0.3f);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = noise(engine);
    for (int64_t t = 0; t < kTokens; ++t) tokens[static_cast<size_t>(t * kConfig.image_dim + 5 * kind)] += 3;
    return tokens;
  }
  static int32_t word(int64_t kind) { return static_cast<int32_t>(2 + kind); }
  void write_problem() const {
    ReportProblem problem{.config = kConfig, .images = 80, .image_tokens = kTokens, .texts = {}};
    for (int64_t i = 0; i < problem.images; ++i) {
      const bool prompted = i / 4 % 2 == 1;
      ReportText text{.image = i, .use = i >= 64 ? ReportText::Use::validate : ReportText::Use::learn};
      text.ids = prompted ? std::vector<int32_t>{kStart, 9, kEnd} : std::vector<int32_t>{kStart, kEnd};
      text.report = static_cast<int64_t>(text.ids.size());
      text.ids.insert(text.ids.end(), {word(i % 4), word(i % 4)});
      if (prompted) text.ids.push_back(10);
      text.ids.push_back(kEnd);
      problem.texts.push_back(std::move(text));
    }
    ReportProblemWriter file(problem, folder_ / "problem");
    for (int64_t i = 0; i < problem.images; ++i) file.add_image(image(i % 4, i));
    problem.texts.front().use = ReportText::Use::leave_out;
    file.commit(problem);
  }

  const fs::path folder_ = fs::temp_directory_path() / ("mii-train-report-" + std::to_string(getpid()));
};

// What runs, opened from a folder.
class Opened {
 public:
  explicit Opened(const fs::path& folder)
      : config_(ReportDecoderConfig::read(ReportModelFolder::find(folder).config)),
        checkpoint_(Checkpoint::open(ReportModelFolder::find(folder).weights, report_decoder_specs(config_))),
        backend_(find_backend("cpu").make({.precision = Precision::f32})) {
    backend_->attach_thread();
    decoder_.emplace(config_, checkpoint_, *backend_);
  }

  std::vector<int32_t> report(const std::vector<float>& tokens, const std::vector<int32_t>& prompt) {
    ReportWriter writer(*decoder_, uploaded(tokens), 1, prompt, {.most_tokens = 8}, {kStart, kEnd});
    while (writer.step()) {
    }
    return writer.report(0).ids();
  }

 private:
  Rows uploaded(const std::vector<float>& tokens) {
    buffer_.emplace(*backend_);
    const Rows rows =
        buffer_->take(static_cast<int64_t>(tokens.size()) / config_.image_dim, config_.image_dim);
    backend_->upload(tokens, rows);
    return rows;
  }

  ReportDecoderConfig config_;
  Checkpoint checkpoint_;
  std::unique_ptr<Backend> backend_;
  std::optional<ReportDecoder> decoder_;
  std::optional<Buffer> buffer_;
};

// The numbers that tests of the program compare with. Between them and this computation may be another
// version of LibTorch: sums in another order, over at most 4 * width terms a layer.
TEST_F(ReportTrainer, GivesTheStoredLogits) {
  using namespace report_golden;
  const std::vector<TensorSpec> specs = report_decoder_specs(report_golden::kConfig);
  write_procedural_weights(specs, folder_ / "weights");
  const Checkpoint checkpoint = Checkpoint::open(folder_ / "weights", specs);
  Parameters parameters;
  for (const TensorSpec& spec : specs) parameters.emplace(spec.name, tensor_of(checkpoint.tensor(spec.name)));
  const torch::NoGradGuard no_gradient;
  const ReportLayers layers(report_golden::kConfig, parameters);
  const Tensor image =
      torch::tensor(image_tokens()).reshape({1, kImageTokens, report_golden::kConfig.image_dim});
  const Tensor ids = torch::tensor(std::vector<int64_t>(kText.begin(), kText.end())).unsqueeze(0);
  const Tensor actual = layers.logits(layers.states(image, ids)).flatten().contiguous();
  const std::span<const float> computed(actual.data_ptr<float>(), static_cast<size_t>(actual.numel()));
  if (getenv("MII_WRITE_GOLDEN") != nullptr) write_file(file(), std::as_bytes(computed));
  const std::vector<float> stored = logits();
  ASSERT_EQ(computed.size(), stored.size());
  double worst = 0;
  for (size_t i = 0; i < stored.size(); ++i)
    worst = std::max(worst, std::abs(double{computed[i]} - stored[i]));
  EXPECT_LE(worst, 1e-4);
}

TEST_F(ReportTrainer, LearnsToSayWhatIsOnAnImageAndWhatThePromptAsksFor) {
  write_problem();
  ASSERT_TRUE(train_report(options(), [] { return false; }));
  Opened decoder(options().out / "best");
  for (int64_t kind = 0; kind < 4; ++kind) {
    const std::vector<float> unseen = image(kind, 1000 + kind);
    EXPECT_THAT(decoder.report(unseen, {kStart, kEnd}), ElementsAre(word(kind), word(kind)));
    EXPECT_THAT(decoder.report(unseen, {kStart, 9, kEnd}), ElementsAre(word(kind), word(kind), 10));
  }
}

TEST_F(ReportTrainer, AResumedRunIsTheRunThatNeverStopped) {
  write_problem();
  ReportTraining whole = options(), parts = options();
  whole.epochs = parts.epochs = 3;
  parts.out = folder_ / "parts";
  ASSERT_TRUE(train_report(whole, [] { return false; }));
  int steps = 0;
  ASSERT_FALSE(train_report(parts, [&] { return ++steps == 10; }));
  parts.resume = true;
  ASSERT_TRUE(train_report(parts, [] { return false; }));
  for (const char* file :
       {"last/decoder.safetensors", "best/decoder.safetensors", "train.tsv", "validation.tsv"})
    EXPECT_EQ(read_file(whole.out / file, 1 << 24), read_file(parts.out / file, 1 << 24)) << file;
}

TEST_F(ReportTrainer, RefusesToMixRuns) {
  write_problem();
  ReportTraining run = options();
  run.epochs = 1;
  ASSERT_TRUE(train_report(run, [] { return false; }));
  EXPECT_THAT([&] { train_report(run, [] { return false; }); }, ThrowsMessage<Error>(HasSubstr("--resume")));
  run.resume = true;
  run.label_smoothing = 0.2;
  EXPECT_THAT([&] { train_report(run, [] { return false; }); },
              ThrowsMessage<Error>(HasSubstr("other options")));
}

TEST_F(ReportTrainer, BeginsWithWhatItSharesWithATextTower) {
  Parameters decoder = initial_report_parameters(kConfig);
  Parameters tower;
  tower.emplace("lang_encoder.token_embedding.weight", torch::full({20, 32}, 2.0f));
  tower.emplace("lang_encoder.positional_embedding", torch::full({9, 32}, 3.0f));
  tower.emplace("lang_encoder.resblocks.0.mlp.c_fc.weight", torch::full({128, 32}, 4.0f));
  tower.emplace("lang_encoder.resblocks.0.ln_1.weight", torch::full({64}, 5.0f));  // of another size
  EXPECT_EQ(begin_with_text_tower(tower, decoder), 3);
  EXPECT_EQ(decoder.at("report_decoder.token_embedding.weight")[19][31].item<float>(), 2);
  EXPECT_EQ(decoder.at("report_decoder.positional_embedding")[8][0].item<float>(), 3);
  EXPECT_NE(decoder.at("report_decoder.positional_embedding")[9][0].item<float>(), 3);
  EXPECT_EQ(decoder.at("report_decoder.resblocks.0.mlp.c_fc.weight")[0][0].item<float>(), 4);
  EXPECT_EQ(decoder.at("report_decoder.resblocks.0.ln_1.weight")[0].item<float>(), 1);
}

}  // namespace
}  // namespace mii
