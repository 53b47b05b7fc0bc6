// The report decoder in every backend and precision that can run here: what is kept of a text is as good as
// the text computed anew.
#include "model/report_decoder.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "mii/error.h"
#include "model/report_writer.h"
#include "report_decoder_golden.h"
#include "tested_backends.h"
#include "weights/procedural.h"
#include "weights/report_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

using report_golden::kConfig;
using report_golden::kImageTokens;
using report_golden::kText;
constexpr size_t kImages = 2;
constexpr auto kVocabulary = static_cast<size_t>(kConfig.vocabulary);

using Values = std::vector<float>;

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double{a[i]} - b[i]));
  return worst;
}

class DecoderIn : public testing::TestWithParam<std::tuple<std::string, Precision>> {
 protected:
  void SetUp() override {
    const auto& [name, precision] = GetParam();
    const BackendEntry entry = tested_backend(name);
    if (!entry.available() || !std::ranges::count(entry.precisions(), precision))
      GTEST_SKIP() << name << " does not offer " << to_string(precision) << " here";
    backend_ = entry.make({.precision = precision});
    backend_->attach_thread();
    write_procedural_weights(report_decoder_specs(kConfig), file_);
    checkpoint_.emplace(Checkpoint::open(file_, report_decoder_specs(kConfig)));
    decoder_.emplace(kConfig, *checkpoint_, *backend_);
    tokens_.emplace(*backend_);
    image_ = tokens_->take(kImages * kImageTokens, kConfig.image_dim);
    Values values(static_cast<size_t>(image_.elements()));
    std::mt19937 engine(1);
    std::normal_distribution<float> normal(0, 2);
    for (float& v : values) v = normal(engine);
    backend_->upload(values, image_);
  }
  void TearDown() override { fs::remove(file_); }

  ReportSession session() { return {*decoder_, image_, kImages, 200}; }
  Values numbers(ConstRows rows) {
    Values values(static_cast<size_t>(rows.elements()));
    backend_->download(rows, values);
    return values;
  }
  Values extend(ReportSession& session, PartialText& text, std::vector<int32_t> ids,
                ReportSession::Logits which = ReportSession::Logits::last) {
    const ReportSession::Growth growth{&text, ids};
    return numbers(session.extend({&growth, 1}, which));
  }
  // A product's operands are rounded row by row, so that only the order of sums differs: 1e-5 in f32. In
  // other precisions that order may tip an operand over to its other neighbour.
  double tolerance() const {
    const double rounding = info_of(backend_->precision()).operand_rounding;
    return rounding < 1e-6 ? 1e-5 : 16 * rounding;
  }

  const fs::path file_ = fs::temp_directory_path() / ("mii-decoder-" + std::to_string(getpid()));
  std::unique_ptr<Backend> backend_;
  std::optional<Checkpoint> checkpoint_;
  std::optional<ReportDecoder> decoder_;
  std::optional<Buffer> tokens_;
  Rows image_;
};

// Sums in another order, over at most 4 * width terms a layer.
TEST_P(DecoderIn, GivesTheLogitsOfLibTorch) {
  if (info_of(backend_->precision()).operand_rounding >= 1e-6) GTEST_SKIP() << "operands are rounded";
  Buffer buffer(*backend_);
  const Rows image = buffer.take(kImageTokens, kConfig.image_dim);
  backend_->upload(report_golden::image_tokens(), image);
  ReportSession session(*decoder_, image, 1, 24);
  PartialText text;
  const Values logits = extend(session, text, kText, ReportSession::Logits::all);
  const Values expected = report_golden::logits();
  ASSERT_EQ(logits.size(), expected.size());
  EXPECT_LE(largest_difference(logits, expected), 1e-4);
  EXPECT_GT(largest_difference(expected, Values(expected.size())), 0.5);
}

TEST_P(DecoderIn, TokenByTokenEqualsTheWholeText) {
  ReportSession whole = session(), stepwise = session();
  PartialText a, b;
  const Values all = extend(whole, a, kText, ReportSession::Logits::all);
  ASSERT_EQ(all.size(), kText.size() * kVocabulary);
  for (size_t i = 0; i < kText.size(); ++i)
    EXPECT_LE(largest_difference(std::span(all).subspan(i * kVocabulary, kVocabulary),
                                 extend(stepwise, b, {kText[i]})),
              tolerance())
        << "token " << i;
}

TEST_P(DecoderIn, ACopyOfATextGoesOnAloneAndTextsAreComputedSideBySide) {
  ReportSession together = session();
  PartialText first{.image = 0, .rows = {}};
  extend(together, first, {59, 7, 60});
  PartialText fork = first, other{.image = 1, .rows = {}};
  const std::vector<int32_t> a{5}, b{6}, c{59, 60, 11};
  const ReportSession::Growth growths[] = {{&first, a}, {&fork, b}, {&other, c}};
  const Values logits = numbers(together.extend(growths));
  const std::pair<size_t, std::vector<int32_t>> alone[] = {
      {0, {59, 7, 60, 5}}, {0, {59, 7, 60, 6}}, {1, {59, 60, 11}}};
  for (size_t t = 0; t < 3; ++t) {
    ReportSession single = session();
    PartialText text{.image = alone[t].first, .rows = {}};
    EXPECT_LE(largest_difference(std::span(logits).subspan(t * kVocabulary, kVocabulary),
                                 extend(single, text, alone[t].second)),
              tolerance())
        << "text " << t;
  }
}

TEST_P(DecoderIn, SessionsComputedTogetherGiveWhatEachGivesAlone) {
  ReportSession a = session(), b = session(), alone_a = session(), alone_b = session();
  PartialText text_a{.image = 0, .rows = {}}, text_b{.image = 1, .rows = {}};
  PartialText alone_text_a = text_a, alone_text_b = text_b;
  extend(a, text_a, {59, 7, 60});
  extend(alone_a, alone_text_a, {59, 7, 60});
  const std::vector<int32_t> next_a{5}, next_b{59, 60, 11};
  const ReportSession::Growth growth_a{&text_a, next_a}, growth_b{&text_b, next_b};
  const ReportSession::Part parts[] = {{&a, {&growth_a, 1}}, {&b, {&growth_b, 1}}};
  const Values logits = numbers(ReportSession::extend(parts));
  ASSERT_EQ(logits.size(), 2 * kVocabulary);
  EXPECT_LE(largest_difference(std::span(logits).first(kVocabulary), extend(alone_a, alone_text_a, next_a)),
            tolerance());
  EXPECT_LE(largest_difference(std::span(logits).last(kVocabulary), extend(alone_b, alone_text_b, next_b)),
            tolerance());
  // What was kept is each one's own.
  EXPECT_LE(largest_difference(extend(b, text_b, {4}), extend(alone_b, alone_text_b, {4})), tolerance());
}

TEST_P(DecoderIn, LooksAtItsImageAndNotAhead) {
  ReportSession first = session();
  PartialText of_one{.image = 0, .rows = {}}, of_other{.image = 1, .rows = {}};
  EXPECT_GT(largest_difference(extend(first, of_one, {59, 60}), extend(first, of_other, {59, 60})), 0.05);
  PartialText a, b;
  const Values one = extend(first, a, {59, 60, 1}, ReportSession::Logits::all);
  const Values two = extend(first, b, {59, 60, 2}, ReportSession::Logits::all);
  EXPECT_LE(largest_difference(std::span(one).first(2 * kVocabulary), std::span(two).first(2 * kVocabulary)),
            tolerance());
  EXPECT_GT(largest_difference(std::span(one).last(kVocabulary), std::span(two).last(kVocabulary)), 0.05);
}

TEST_P(DecoderIn, RefusesATextBeyondTheContext) {
  ReportSession session = this->session();
  PartialText text;
  EXPECT_THAT([&] { extend(session, text, std::vector<int32_t>(25, 3)); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("25 tokens; the decoder's context holds 24")));
}

TEST_P(DecoderIn, WritesOneOfSeveralReportsAsItWritesItAlone) {
  const std::vector<int32_t> prompt{59, 60};
  // With the embedding as the last layer, made-up weights repeat the last token: not the end, so.
  constexpr TextSearch::Ids kIds{59, 1};
  for (const size_t beams : {1, 3}) {
    const TextSearchOptions options{.beams = beams, .most_tokens = 20};
    ReportWriter both(*decoder_, image_, kImages, prompt, options, kIds);
    while (both.step()) {
    }
    for (size_t i = 0; i < kImages; ++i) {
      ReportWriter one(*decoder_, image_.slice(static_cast<int64_t>(i) * kImageTokens, kImageTokens), 1,
                       prompt, options, kIds);
      while (one.step()) {
      }
      EXPECT_EQ(both.report(i).ids(), one.report(0).ids()) << beams << " beams, image " << i;
      EXPECT_FALSE(one.report(0).ids().empty());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, DecoderIn,
                         testing::Combine(testing::ValuesIn(names_of_tested_backends()),
                                          testing::ValuesIn(all_precisions())),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + to_string(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace mii
