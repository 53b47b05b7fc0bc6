// Reports by a decoder of made-up weights: they mean nothing, but they are the same each time.
#include <gmock/gmock.h>

#include <malloc.h>

#include <algorithm>
#include <map>
#include <thread>

#include "mii/engine.h"
#include "mii/error.h"
#include "procedural_model.h"
#include "weights/report_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

Image made_up(uint32_t seed) {
  std::vector<uint8_t> pixels(64 * 64 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * (seed + 3) / 7 + i / 191);
  return Image::from_rgb(64, 64, pixels);
}

class Reports : public testing::Test {
 protected:
  Reports() {
    config_.vocabulary = ClipTokenizer::load(Golden("tiny-a").tokenizer()).vocabulary_size();
    write(config_, model_.folder() / "report_model");
  }
  static void write(const ReportDecoderConfig& config, const fs::path& folder) {
    const ReportModelFolder to = ReportModelFolder::in(folder);
    fs::create_directories(folder);
    write_file(to.config, to_yaml(config));
    write_procedural_weights(report_decoder_specs(config), to.weights);
  }
  Engine open(const fs::path& report_model = {}) const {
    return Engine::open(model_.folder(), {.precision = Precision::f32, .report_model = report_model});
  }
  static std::vector<Image> images(size_t n) {
    std::vector<Image> images;
    for (size_t i = 0; i < n; ++i) images.push_back(made_up(static_cast<uint32_t>(i)));
    return images;
  }

  const ProceduralModel model_{"tiny-a"};
  ReportDecoderConfig config_{.context_length = 40,
                              .width = 32,
                              .heads = 2,
                              .layers = 2,
                              .image_dim = 128,
                              .vocabulary = 0,
                              .least_support = 0.25f};
};

// Drawn at random, so that made-up weights write more than one word again and again.
const ReportOptions kDrawn{.prompt = "cough", .top_p = 0.9, .temperature = 2, .seed = 3};

TEST_F(Reports, ArriveInPiecesThatMakeTheText) {
  const Engine engine = open();
  std::map<size_t, std::string> pieces;
  ReportOptions options = kDrawn;
  options.on_text = [&](size_t image, std::string_view piece) {
    pieces[image] += piece;
    return true;
  };
  const std::vector<Report> reports = engine.write_reports(images(3), options);
  ASSERT_EQ(reports.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(reports[i].text, pieces[i]);
    EXPECT_FALSE(reports[i].text.empty());
    EXPECT_LE(reports[i].prompt_tokens + reports[i].tokens, 40u);
    EXPECT_GE(reports[i].prompt_tokens, 3u);
  }
  EXPECT_NE(reports[0].text, reports[1].text);
}

TEST_F(Reports, HaveTheVectorsOfTheirImages) {
  const Engine engine = open();
  const std::vector<Image> all = images(2);
  const std::vector<Report> reports = engine.write_reports(all);
  const Matrix vectors = engine.encode_images(all);
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(std::ranges::equal(reports[i].image_vector, vectors.row(i)));
}

TEST_F(Reports, TheSameSeedWritesTheSame) {
  const Engine engine = open();
  const std::vector<Image> one = images(1);
  const std::string text = engine.write_reports(one, kDrawn).front().text;
  EXPECT_EQ(engine.write_reports(one, kDrawn).front().text, text);
  ReportOptions other = kDrawn;
  other.seed = 4;
  EXPECT_NE(engine.write_reports(one, other).front().text, text);
  ReportOptions prompted = kDrawn;
  prompted.prompt = "fever";
  EXPECT_NE(engine.write_reports(one, prompted).front().text, text);
}

// A computation between two tokens would wait for ever if a report held the compute thread.
TEST_F(Reports, LetOtherComputationsTakeTheirTurn) {
  const Engine engine = open();
  const std::vector<Image> one = images(1);
  size_t turns = 0;
  ReportOptions options = kDrawn;
  options.on_text = [&](size_t, std::string_view) {
    turns += engine.encode_images(one).rows();
    return true;
  };
  const std::string text = engine.write_reports(one, options).front().text;
  EXPECT_GT(turns, 1u);
  EXPECT_EQ(text, engine.write_reports(one, kDrawn).front().text);
}

TEST_F(Reports, StopWhenNobodyListens) {
  const Engine engine = open();
  size_t pieces = 0;
  ReportOptions options = kDrawn;
  options.on_text = [&](size_t, std::string_view) { return ++pieces < 2; };
  try {
    engine.write_reports(images(1), options);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
  }
  EXPECT_EQ(pieces, 2u);
  EXPECT_EQ(engine.write_reports(images(1)).size(), 1u);  // the engine stays usable
}

TEST_F(Reports, EndAtTheMostTokens) {
  ReportOptions options = kDrawn;
  options.max_tokens = 4;
  const Report report = open().write_reports(images(1), options).front();
  EXPECT_EQ(report.tokens, 4u);
  EXPECT_FALSE(report.complete);
}

TEST_F(Reports, APromptThatFillsTheContextIsRefused) {
  std::string prompt;
  for (int i = 0; i < 60; ++i) prompt += "a ";
  const Engine engine = open();
  EXPECT_THAT(
      [&] { engine.write_reports(images(1), {.prompt = prompt}); },
      ThrowsMessage<Error>(AllOf(HasSubstr("60 tokens"), HasSubstr("context of 40 has room for 37"))));
  EXPECT_THAT([&] { engine.write_reports(images(1), {.prompt = "\xff"}); },
              ThrowsMessage<Error>(HasSubstr("UTF-8")));
  EXPECT_THAT([&] { engine.write_reports(images(1), {.beams = 0}); },
              ThrowsMessage<Error>(HasSubstr("0 beams")));
}

TEST_F(Reports, ADecoderOfAnotherTowerIsRefused) {
  ReportDecoderConfig other = config_;
  other.image_dim = 96;
  const fs::path folder = model_.folder() / "other";
  write(other, folder);
  const Engine engine = open(folder);
  EXPECT_THAT([&] { engine.report_model_info(); },
              ThrowsMessage<Error>(AllOf(HasSubstr("width 96"), HasSubstr("have 128"))));
  EXPECT_EQ(engine.encode_images(images(1)).rows(), 1u);
}

TEST_F(Reports, WithoutADecoderThereAreNone) {
  fs::remove_all(model_.folder() / "report_model");
  const Engine engine = open();
  EXPECT_THAT([&] { engine.write_reports(images(1)); },
              ThrowsMessage<Error>(HasSubstr("no report decoder, config.yaml is not there")));
}

TEST_F(Reports, ByTokensAreThoseByImages) {
  const Engine engine = open();
  const std::vector<Image> one = images(1);
  const ImageTokens tokens = engine.encode_image_tokens(one.front());
  ReportInProgress writing = engine.begin_report(tokens, kDrawn);
  std::string pieces;
  while (writing.step()) pieces += writing.take();
  pieces += writing.take();
  const Report report = engine.write_reports(one, kDrawn).front();
  EXPECT_EQ(pieces, report.text);
  EXPECT_EQ(writing.report().text, report.text);
  EXPECT_EQ(writing.report().tokens, report.tokens);
  const ImageTokens others{Matrix(2, 3), 1, 2, {}};
  EXPECT_THAT([&] { engine.begin_report(others); },
              ThrowsMessage<Error>(HasSubstr("image tokens of 2 rows, expected")));
}

TEST_F(Reports, SideBySideAreThoseWrittenAlone) {
  const Engine engine = open();
  const std::vector<Image> three = images(3);
  const std::vector<ImageTokens> tokens = engine.encode_image_tokens(three);
  ReportInProgress writing = engine.begin_reports(tokens, kDrawn);
  while (writing.step()) {
  }
  for (size_t i = 0; i < 3; ++i) {
    const std::string text = writing.take(i);
    EXPECT_EQ(writing.report(i).text, text);
    EXPECT_EQ(writing.report(i).text, engine.write_reports({&three[i], 1}, kDrawn).front().text);
  }
  EXPECT_THAT([&] { engine.begin_reports({}); },
              ThrowsMessage<Error>(HasSubstr("0 reports, expected 1 to 16")));
}

// Threads that meet are computed together; each gets what it would get alone.
TEST_F(Reports, OfSeveralThreadsAreThoseWrittenAlone) {
  const Engine engine = open();
  const std::vector<Image> four = images(4);
  std::vector<std::string> together(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      ReportOptions options = kDrawn;
      if (i == 3) options = {.beams = 3};
      for (int again = 0; again < 5; ++again)
        together[i] = engine.write_reports({&four[i], 1}, options).front().text;
    });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(together[i], engine.write_reports({&four[i], 1}, kDrawn).front().text) << i;
  EXPECT_EQ(together[3], engine.write_reports({&four[3], 1}, {.beams = 3}).front().text);
}

TEST_F(Reports, ThatWouldTakeTooMuchMemoryAreRefused) {
  config_.context_length = 4096;
  config_.width = 256;
  config_.layers = 4;
  write(config_, model_.folder() / "report_model");
  const Engine engine = open();
  EXPECT_EQ(engine.reports_at_once(), 10u);  // 4 layers of 3 * 256 values for 4096 tokens: 48 MiB
  EXPECT_EQ(engine.reports_at_once({.beams = 8}), 1u);
  EXPECT_EQ(engine.reports_at_once({.max_tokens = 100}), 16u);
  EXPECT_THAT([&] { engine.write_reports(images(1), {.beams = 16}); },
              ThrowsMessage<Error>(
                  AllOf(HasSubstr("a report of 16 beams and 4094 tokens keeps"), HasSubstr("at most 512"))));
  EXPECT_NO_THROW(engine.check_report_options({.max_tokens = 100, .beams = 16}));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep what is freed
TEST_F(Reports, LeaveNoMemoryBehind) {
  const Engine engine = open();
  const std::vector<Image> one = images(1);
  const ImageTokens tokens = engine.encode_image_tokens(one.front());
  const auto bytes_after = [&](size_t reports) {
    for (size_t i = 0; i < reports; ++i) {
      ReportInProgress writing = engine.begin_report(tokens, {.max_tokens = 3});
      while (writing.step()) {
      }
    }
    engine.encode_images(one);  // behind which all of it has been let go
    const auto in_use = mallinfo2();
    return static_cast<int64_t>(in_use.uordblks + in_use.hblkhd);
  };
  const int64_t before = bytes_after(50);
  // What one token of each keeps in one layer: queries, keys and values.
  const int64_t token = 3 * config_.width * static_cast<int64_t>(sizeof(float));
  EXPECT_LT(bytes_after(1000) - before, 1000 * token);
}
#endif

TEST_F(Reports, SayWhatWritesThem) {
  const ReportModelInfo info = open().report_model_info();
  EXPECT_EQ(info.folder, model_.folder() / "report_model");
  EXPECT_EQ(info.context_length, 40u);
  EXPECT_EQ(info.width, 32u);
  EXPECT_EQ(info.layers, 2u);
  EXPECT_EQ(info.least_support, 0.25f);
  EXPECT_GT(info.parameters, 10000u);
}

}  // namespace
}  // namespace mii
