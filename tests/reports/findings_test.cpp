#include "reports/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/sentences.h"

namespace mii::reports {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string spoken(std::string_view text) {
  std::string line;
  for (const Mention& mention : findings_in(text))
    line += (line.empty() ? "" : ", ") + finding_names()[mention.finding] + " " +
            std::string(to_string(mention.polarity));
  return line;
}

TEST(Sentences, EndAtFullStopsAlsoWhereTheSpaceIsMissing) {
  EXPECT_THAT(sentences_of("The lungs are clear.  There is a lesion in the apex.There is no effusion."),
              ElementsAre("The lungs are clear.", "There is a lesion in the apex.", "There is no effusion."));
}

TEST(Sentences, LeaveNumbersOfListsOutAndKeepThoseOfSizes) {
  EXPECT_THAT(sentences_of("1. A 3.2 cm mass. 2. Clear lungs."),
              ElementsAre("A 3.2 cm mass.", "Clear lungs."));
  EXPECT_THAT(sentences_of(" . 1. - "), IsEmpty());
  EXPECT_THAT(sentences_of(""), IsEmpty());
}

TEST(Sentences, TitlesAndInitialsAreNoEnds) {
  EXPECT_THAT(sentences_of("Discussed with Dr. J. Miller at once. Clear lungs."),
              ElementsAre("Discussed with Dr. J. Miller at once.", "Clear lungs."));
}

TEST(Sentences, BytesThatAreNotUtf8AreKept) {
  EXPECT_THAT(sentences_of("Clear\xff lungs. Normal."), ElementsAre("Clear\xff lungs.", "Normal."));
}

TEST(Findings, ANegationReachesAListAndEndsAtBut) {
  EXPECT_EQ(spoken("No pleural effusion, pneumothorax or consolidation."),
            "pleural effusion absent, consolidation absent, pneumothorax absent");
  EXPECT_EQ(spoken("No pneumothorax but a small effusion."), "pleural effusion present, pneumothorax absent");
  EXPECT_EQ(spoken("No pneumothorax, mild cardiomegaly."), "cardiomegaly present, pneumothorax absent");
}

TEST(Findings, ANegationMayStandBehind) {
  EXPECT_EQ(spoken("The effusion has resolved."), "pleural effusion absent");
  EXPECT_EQ(spoken("Pneumothorax is not seen."), "pneumothorax absent");
}

TEST(Findings, WhatLooksLikeANegationIsNone) {
  EXPECT_EQ(spoken("No change in the left effusion."), "pleural effusion present");
  EXPECT_EQ(spoken("Cannot exclude pneumonia."), "pneumonia possible");
}

TEST(Findings, ADoubtMakesPossible) {
  EXPECT_EQ(spoken("This may represent atelectasis versus pneumonia."),
            "atelectasis possible, pneumonia possible");
}

TEST(Findings, ADoubtBehindReachesToTheNextComma) {
  EXPECT_EQ(spoken("Small effusion, pneumonia is possible."), "pleural effusion present, pneumonia possible");
}

TEST(Findings, ALongerNameHidesTheShorterWithinIt) {
  EXPECT_EQ(spoken("Calcified granuloma in the left base."), "calcified granuloma present");
}

TEST(Findings, WordsMayStandBetween) {
  EXPECT_EQ(spoken("The heart is mildly enlarged."), "cardiomegaly present");
  EXPECT_EQ(spoken("The heart is not enlarged."), "cardiomegaly absent");
}

TEST(Findings, PresentOutweighsAbsentInAReport) {
  EXPECT_EQ(spoken("No effusion on the right. Small effusion on the left."), "pleural effusion present");
}

TEST(Findings, ASentenceWithoutEndTakesNoLongTime) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "calcified heart no may effusion ";
  EXPECT_FALSE(findings_in(text).empty());
}

TEST(Findings, HeadingsOfOpenI) {
  std::string names;
  for (const size_t f : findings_of_headings(
           "Cardiomegaly/mild;Lung/bilateral/hypoinflation;normal; Opacity;Lung/azygos lobe"))
    names += finding_names()[f] + ";";
  EXPECT_EQ(names, "cardiomegaly;lung opacity;low lung volumes;");
}

}  // namespace
}  // namespace mii::reports
