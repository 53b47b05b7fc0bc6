// The file that a report decoder is trained on: what is written is read, and nothing else.
#include "dataset/report_problem.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "core/file.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int64_t kTokens = 3;
constexpr ReportDecoderConfig kConfig{.context_length = 16,
                                      .width = 32,
                                      .heads = 2,
                                      .layers = 2,
                                      .image_dim = 5,
                                      .vocabulary = 20,
                                      .least_support = {}};

ReportProblem problem() {
  ReportProblem problem{.config = kConfig, .images = 2, .image_tokens = kTokens, .texts = {}};
  problem.texts.push_back({.ids = {0, 1, 3, 1}, .report = 2, .image = 0});
  problem.texts.push_back(
      {.ids = {0, 9, 1, 4, 1}, .report = 3, .image = 1, .use = ReportText::Use::validate});
  return problem;
}

// Token t's channel c of an image is a number that bfloat16 holds.
std::vector<float> image(float number) {
  std::vector<float> tokens(static_cast<size_t>(kTokens * kConfig.image_dim));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = number + static_cast<float>(i);
  return tokens;
}

class ReportProblems : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }

  std::vector<std::byte> written(const ReportProblem& problem) const {
    ReportProblemWriter file(problem, path_);
    for (int64_t i = 0; i < problem.images; ++i) file.add_image(image(64.0f * static_cast<float>(i)));
    file.commit(problem);
    return read_file(path_, 1 << 20);
  }

  const fs::path path_ = fs::temp_directory_path() / ("mii-report-problem-" + std::to_string(getpid()));
};

TEST_F(ReportProblems, AreReadFromAnyAddressAsTheyWereWritten) {
  ReportProblem more = problem();
  more.texts.push_back({.ids = {0, 1, 5, 1}, .report = 2, .image = 1, .use = ReportText::Use::leave_out});
  std::vector<std::byte> bytes = written(more);
  bytes.insert(bytes.begin(), std::byte{0});  // no number lies at a multiple of its size
  const auto view = ReportProblemView::parse(std::span(bytes).subspan(1), "file");
  EXPECT_EQ(view.problem().config.width, kConfig.width);
  EXPECT_EQ(view.problem().config.vocabulary, kConfig.vocabulary);
  EXPECT_EQ(view.problem().image_tokens, kTokens);
  ASSERT_EQ(view.problem().texts.size(), 2u);
  EXPECT_THAT(view.problem().texts[1].ids, ElementsAre(0, 9, 1, 4, 1));
  EXPECT_EQ(view.problem().texts[1].report, 3);
  EXPECT_EQ(view.problem().texts[1].image, 1);
  EXPECT_EQ(view.problem().texts[1].use, ReportText::Use::validate);
  std::vector<float> tokens(image(0).size());
  view.read_tokens(1, tokens);
  EXPECT_EQ(tokens, image(64));
}

TEST_F(ReportProblems, ThatAreDamagedAreRefused) {
  const std::pair<const char*, std::function<void(ReportProblem&)>> damages[] = {
      {"token 20 of a vocabulary of 20", [](ReportProblem& p) { p.texts[0].ids[2] = 20; }},
      {"text 0 is not", [](ReportProblem& p) { p.texts[0].report = 4; }},
      {"text 0 is not", [](ReportProblem& p) { p.texts[0].report = 0; }},
      {"text 1 is not", [](ReportProblem& p) { p.texts[1].image = 2; }},
      {"text 1 is not", [](ReportProblem& p) { p.texts[1].image = -1; }},
      {"text 0 is not", [](ReportProblem& p) { p.texts[0].ids.resize(17, 2); }},
      {"5 heads do not divide", [](ReportProblem& p) { p.config.heads = 5; }},
      {"WIDTH is '20000', expected 1 to 16384", [](ReportProblem& p) { p.config.width = 20000; }},
      {"LAYERS is '-1'", [](ReportProblem& p) { p.config.layers = -1; }}};
  for (const auto& [sentence, damage] : damages) {
    ReportProblem damaged = problem();
    damage(damaged);
    const std::vector<std::byte> bytes = written(damaged);
    EXPECT_THAT([&] { ReportProblemView::parse(bytes, "file"); },
                ThrowsMessage<Error>(testing::AllOf(HasSubstr("file: "), HasSubstr(sentence))));
  }
  const std::vector<std::byte> none(40);
  EXPECT_THROW(ReportProblemView::parse(none, "file"), Error);
}

}  // namespace
}  // namespace mii
