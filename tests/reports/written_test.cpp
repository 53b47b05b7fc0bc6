#include "reports/written.h"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "reports/draft.h"

namespace mii::reports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kText =
    "The heart is normal. There is a pleural effusion. Seen by Dr. Miller on 3/5/2019.";

Matrix two_vectors() {
  Matrix vectors(2, 2);
  vectors.row(0)[0] = 1;
  vectors.row(1)[1] = 1;
  return vectors;
}

WrittenReport written(std::vector<float> image, std::optional<float> least_support) {
  const Report report{.text = kText, .complete = true, .prompt_tokens = 2, .tokens = 20, .image_vector = {}};
  return written_report(report, {.image_vector = image,
                                 .encode_texts = [](std::span<const std::string>) { return two_vectors(); },
                                 .least_support = least_support});
}
WrittenReport supported() { return written({0.8f, 0.25f}, 0.5f); }

TEST(WrittenReport, HoldsBackWhatTellsWhoAPatientIs) {
  const WrittenReport report = supported();
  EXPECT_EQ(report.text(), "The heart is normal. There is a pleural effusion.");
  EXPECT_EQ(report.held_back, 1u);
  EXPECT_TRUE(report.complete);
}

TEST(WrittenReport, SaysWhichSentenceHasNoSupport) {
  const WrittenReport report = supported();
  EXPECT_FLOAT_EQ(static_cast<float>(report.sentences[0].support), 0.8f);
  EXPECT_TRUE(report.sentences[0].supported);
  EXPECT_FALSE(report.sentences[1].supported);
  EXPECT_THAT(support_text(report), HasSubstr("0.2500  There is a pleural effusion.  (no support)\n"));
  EXPECT_THAT(support_text(report), Not(HasSubstr("normal.  (no support)")));
}

// Where nobody has measured what support true sentences have, nothing is said to have none.
TEST(WrittenReport, WithoutAMeasureNothingLacksSupport) {
  const WrittenReport report = written({-1.0f, -1.0f}, {});
  EXPECT_TRUE(report.sentences[0].supported);
  EXPECT_THAT(support_text(report), Not(HasSubstr("no support")));
}

TEST(WrittenReport, AsJsonHasFindingsModelAndUsage) {
  const boost::json::value json = boost::json::parse(to_json(supported(), {.model = "small"}));
  EXPECT_EQ(json.at("findings").as_string(), "The heart is normal. There is a pleural effusion.");
  EXPECT_EQ(json.at("model").as_string(), "small");
  EXPECT_FALSE(json.as_object().contains("image"));
  const auto named = boost::json::parse(to_json(supported(), {.model = "small", .image = "a.png"}));
  EXPECT_EQ(named.at("image").as_string(), "a.png");
  EXPECT_EQ(json.at("usage").at("total_tokens").as_int64(), 22);
  EXPECT_EQ(json.at("sentences").at(1).at("findings").at("pleural effusion").as_string(), "present");
  EXPECT_FALSE(json.at("sentences").at(1).at("supported").as_bool());
  EXPECT_EQ(json.at("held_back").as_int64(), 1);
  EXPECT_EQ(json.at("notice").as_string(), kNotice);
}

TEST(SentenceStream, GivesASentenceOnceTheNextBegins) {
  SentenceStream stream;
  EXPECT_THAT(stream.add("The heart"), IsEmpty());
  EXPECT_THAT(stream.add(" is normal."), IsEmpty());
  EXPECT_THAT(stream.add(" No"), ElementsAre("The heart is normal."));
  EXPECT_THAT(stream.add(" effusion. Size 3.2 cm."), ElementsAre("No effusion."));
  EXPECT_THAT(stream.finish(), ElementsAre("Size 3.2 cm."));
  EXPECT_THAT(SentenceStream().finish(), IsEmpty());
}

}  // namespace
}  // namespace mii::reports
