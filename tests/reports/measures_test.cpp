#include "reports/measures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mii/error.h"
#include "reports/overlap.h"

namespace mii::reports {
namespace {

// Candidate, reference. The figures beside are those of nltk 3.9's corpus_bleu and of rouge-score 0.1.2.
const std::vector<std::pair<std::string, std::string>> kPairs{
    {"The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.",
     "Heart size is normal. Lungs are clear. There is no pneumothorax or pleural effusion."},
    {"There is a small left pleural effusion with basilar atelectasis.",
     "Small left effusion and left basilar atelectasis, unchanged since the prior examination of the chest."},
    {"No acute cardiopulmonary abnormality.", "No acute cardiopulmonary abnormality."},
    {"The the the cat", "The cat is on the mat; it's 3.2 cm"}};

TEST(Overlap, BleuEqualsThatOfNltk) {
  std::vector<NgramCounts> counts;
  for (const auto& [candidate, reference] : kPairs)
    counts.push_back(count_ngrams(overlap_words(candidate), overlap_words(reference)));
  const double expected[] = {0.5211136804173013, 0.35882676080735176, 0.22287534204544363,
                             0.13941210557743558};
  const auto values = bleu(counts);
  for (size_t n = 0; n < 4; ++n) EXPECT_NEAR(values[n], expected[n], 1e-14) << n + 1;
}

TEST(Overlap, RougeLEqualsThatOfRougeScore) {
  const double expected[] = {0.6206896551724138, 0.4, 1.0, 0.26666666666666666};
  for (size_t i = 0; i < kPairs.size(); ++i)
    EXPECT_NEAR(rouge_l(overlap_words(kPairs[i].first), overlap_words(kPairs[i].second)), expected[i], 1e-15)
        << i;
}

TEST(Overlap, NothingInCommonIsZero) {
  const std::vector<NgramCounts> counts{count_ngrams(overlap_words("a b"), overlap_words("c d"))};
  EXPECT_EQ(bleu(counts)[0], 0);
  EXPECT_EQ(bleu({})[3], 0);
  EXPECT_EQ(rouge_l({}, overlap_words("a")), 0);
}

ReportRows rows() {
  return {.references = {"No effusion. The heart is enlarged.", "Left effusion. The lungs are clear.",
                         "No effusion. The lungs are clear."},
          .candidates = {"Cardiomegaly.", "No effusion.", "Small effusion. No effusion elsewhere."},
          .patients = {"a", "b", "c"}};
}

TEST(Measures, CountFindingsThatArePresent) {
  const ReportMeasures measures = measure_reports(rows(), {.resamples = 20});
  ASSERT_EQ(measures.figures.size(), 3u);
  EXPECT_EQ(measures.figures[0].name, "candidate");
  // Found: cardiomegaly. Missed: an effusion. Found where there is none: an effusion.
  EXPECT_DOUBLE_EQ(measures.figures[0].micro_f1.value, 0.5);
  ASSERT_EQ(measures.findings.size(), 2u);
  EXPECT_EQ(measures.patients, 3u);
}

TEST(Measures, TheConstantReportIsMadeOfTheMostFrequentSentences) {
  const ReportMeasures measures = measure_reports(rows(), {.resamples = 0});
  EXPECT_EQ(measures.constant, "No effusion. The lungs are clear.");
  EXPECT_EQ(measures.figures[1].name, "constant");
  EXPECT_EQ(measures.figures[1].micro_recall.value, 0);
}

TEST(Measures, TheRandomReportIsThatOfAnotherPatient) {
  ReportRows two = rows();
  two.patients = {"a", "a", "b"};
  const ReportMeasures measures = measure_reports(two, {.resamples = 0});
  EXPECT_EQ(measures.figures[2].name, "random");
  // Rows 0 and 1 get row 2; row 2 gets one of the others.
  const auto share = [&](size_t of, size_t with) {
    return rouge_l(overlap_words(two.references[of]), overlap_words(two.references[with]));
  };
  EXPECT_THAT(measures.figures[2].rouge_l.value,
              testing::AnyOf(testing::DoubleNear((share(2, 0) + share(2, 1) + share(0, 2)) / 3, 1e-12),
                             testing::DoubleNear((share(2, 0) + share(2, 1) + share(1, 2)) / 3, 1e-12)));
  two.patients = {"a", "a", "a"};
  EXPECT_THROW(measure_reports(two, {}), Error);
}

TEST(Measures, WithoutCandidatesTheRulesAreMeasuredAgainstHeadings) {
  ReportRows of_rules = rows();
  of_rules.candidates.clear();
  EXPECT_THROW(measure_reports(of_rules, {}), Error);
  of_rules.headings = {"Cardiomegaly/mild", "Pleural Effusion/left;Opacity", "normal"};
  const ReportMeasures measures = measure_reports(of_rules, {.resamples = 0});
  EXPECT_DOUBLE_EQ(measures.figures[0].micro_precision.value, 1);
  EXPECT_DOUBLE_EQ(measures.figures[0].micro_recall.value, 2.0 / 3);
  EXPECT_THAT(to_table(measures), testing::HasSubstr("reference, by the rules"));
}

TEST(Measures, ListsOfDifferentLengthsAreRefused) {
  ReportRows wrong = rows();
  wrong.candidates.pop_back();
  EXPECT_THROW(measure_reports(wrong, {}), Error);
  EXPECT_THROW(measure_reports({}, {}), Error);
}

}  // namespace
}  // namespace mii::reports
