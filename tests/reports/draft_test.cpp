#include "reports/draft.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mii/error.h"

namespace mii::reports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> texts(const Draft& draft) {
  std::vector<std::string> all;
  for (const DraftSentence& sentence : draft.sentences) all.push_back(sentence.text);
  return all;
}

std::vector<SourceReport> reports(std::vector<std::string> texts) {
  std::vector<SourceReport> made;
  for (size_t i = 0; i < texts.size(); ++i)
    made.push_back({"r" + std::to_string(i), 0.9f - 0.1f * static_cast<float>(i), std::move(texts[i])});
  return made;
}

TEST(Draft, QuotesWhatMostReportsSayInTheWordsOfTheMostSimilar) {
  const Draft draft = draft_of(reports({"Small left effusion. The heart is normal.",
                                        "Pleural effusion. Rib fracture.", "There is an effusion."}),
                               {});
  ASSERT_THAT(texts(draft), ElementsAre("Small left effusion."));
  const DraftSentence& sentence = draft.sentences.front();
  EXPECT_EQ(sentence.sources.size(), 3u);
  EXPECT_EQ(sentence.sources.front().id, "r0");
  EXPECT_EQ(sentence.support, 1);
  EXPECT_EQ(sentence.contradicting, 0u);
}

TEST(Draft, ANegationIsNotWhatItDenies) {
  const Draft draft = draft_of(reports({"No effusion.", "Without effusion.", "Large effusion."}), {});
  ASSERT_THAT(texts(draft), ElementsAre("No effusion."));
  EXPECT_EQ(draft.sentences.front().contradicting, 1u);
  EXPECT_EQ(draft.sentences.front().sources.size(), 2u);
}

TEST(Draft, WhatIsContradictedAsOftenIsNotSaid) {
  const Draft draft =
      draft_of(reports({"No effusion.", "Large effusion.", "No effusion seen.", "Small effusion."}), {});
  EXPECT_THAT(texts(draft), IsEmpty());
  EXPECT_THAT(draft.why_not, HasSubstr("not enough evidence"));
}

TEST(Draft, SentencesWithoutFindingsAgreeByTheirWords) {
  EXPECT_THAT(
      texts(draft_of(reports({"The lungs are clear.", "the lungs are  clear", "Trachea is midline."}), {})),
      ElementsAre("The lungs are clear."));
}

TEST(Draft, KeepsTheOrderOfTheReports) {
  const std::string text = "No pneumothorax. Mild cardiomegaly. Left effusion.";
  EXPECT_THAT(texts(draft_of(reports({text, text, text}), {})),
              ElementsAre("No pneumothorax.", "Mild cardiomegaly.", "Left effusion."));
}

TEST(Draft, SpeaksOfNoFindingTwice) {
  EXPECT_THAT(texts(draft_of(
                  reports({"Left effusion. Effusion and cardiomegaly.", "Effusion. Effusion, cardiomegaly.",
                           "Right effusion. Cardiomegaly with effusion."}),
                  {})),
              testing::SizeIs(1));
}

TEST(Draft, NeverQuotesDatesNumbersOrNames) {
  const std::string text = "Effusion as on 12/05/2019. Discussed with Dr. Miller. No pneumothorax.";
  const Draft draft = draft_of(reports({text, text, text}), {});
  EXPECT_THAT(texts(draft), ElementsAre("No pneumothorax."));
  EXPECT_EQ(draft.held_back, 6u);
}

TEST(Draft, FewReportsAreNotEnough) {
  const Draft draft = draft_of(reports({"No effusion.", "No effusion."}), {});
  EXPECT_THAT(texts(draft), IsEmpty());
  EXPECT_THAT(draft.why_not, HasSubstr("2 similar images have a text, 3 are needed"));
  EXPECT_THAT(draft_of({}, {.least_reports = 0}).why_not, HasSubstr("0 similar images"));
}

TEST(Draft, ASupportThatIsNoShareIsRefused) {
  EXPECT_THROW(draft_of(reports({"a"}), {.least_support = 0}), Error);
  EXPECT_THROW(draft_of(reports({"a"}), {.least_support = 1.5}), Error);
}

TEST(Draft, AsJson) {
  const auto value = boost::json::parse(
      to_json(draft_of(reports({"No effusion.", "No effusion.", "\xffNo effusion."}), {})));
  const auto& sentence = value.at("sentences").at(0);
  EXPECT_EQ(sentence.at("text").as_string(), "No effusion.");
  EXPECT_EQ(sentence.at("sources").at(1).at("id").as_string(), "r1");
  EXPECT_EQ(sentence.at("findings").at("pleural effusion").as_string(), "absent");
  EXPECT_EQ(value.at("evidence").as_string(), "enough");
  EXPECT_THAT(std::string(value.at("notice").as_string()), HasSubstr("research"));
}

TEST(Reports, AreTheHitsWithAText) {
  search::Answer answer;
  answer.hits.push_back({{"a", {{"text", "No effusion."}}}, 0.5f});
  answer.hits.push_back({{"b", {}}, 0.4f});
  const auto found = reports_of(answer, "text");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, "a");
}

}  // namespace
}  // namespace mii::reports
