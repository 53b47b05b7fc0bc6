#include "reports/scrub.h"

#include <gtest/gtest.h>

namespace mii::reports {
namespace {

TEST(Scrub, TakesOutWhatMayTellThePatient) {
  EXPECT_EQ(scrub("Compared to 12/05/2019 and March 3rd, 2018.").text, "Compared to XXXX and XXXX.");
  EXPECT_EQ(scrub("Stable since 2014, seen at 10:45 am.").text, "Stable since XXXX, seen at XXXX.");
  EXPECT_EQ(scrub("MRN 00123456, accession AB-123456, call 555-123-4567.").text,
            "MRN XXXX, accession XXXX, call XXXX.");
  EXPECT_EQ(scrub("Discussed with Dr. Anna Miller.").text, "Discussed with XXXX.");
  EXPECT_EQ(scrub("Signed by Jane Q. Public").text, "Signed by XXXX");
  EXPECT_EQ(scrub("Signed by: Jane Public").text, "Signed by: XXXX");
  EXPECT_EQ(scrub("Seen by Dr. J. Miller.").text, "Seen by XXXX.");
  EXPECT_EQ(scrub("Write to a.b@clinic.example or https://x.example/p?id=3 now").text,
            "Write to XXXX or XXXX now");
}

TEST(Scrub, KeepsSizesVertebraeAndWords) {
  for (const char* text :
       {"A 3.2 cm nodule, 22 x 14 mm.", "Compression of T12 and L1.", "The heart may be large.",
        "Grade 2 of 4; cardiothoracic ratio 16.2/24.7.", "No effusion."})
    EXPECT_EQ(scrub(text).text, text);
}

TEST(Scrub, CountsByKind) {
  const Scrubbed scrubbed = scrub("Seen 01/02/2020 and 03/04/2020 by Dr. Who.");
  EXPECT_EQ(scrubbed.found[static_cast<size_t>(Personal::date)], 2u);
  EXPECT_EQ(scrubbed.found[static_cast<size_t>(Personal::name)], 1u);
  EXPECT_TRUE(scrubbed.any());
  EXPECT_FALSE(scrub("Clear lungs.").any());
}

TEST(Scrub, LongTextsOfOneKindTakeNoLongTime) {
  EXPECT_FALSE(scrub(std::string(1 << 20, 'a')).any());
  EXPECT_TRUE(scrub(std::string(1 << 20, '7')).any());
  EXPECT_FALSE(scrub(std::string(1 << 20, ' ')).any());
}

}  // namespace
}  // namespace mii::reports
