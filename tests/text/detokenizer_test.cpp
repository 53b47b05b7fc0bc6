#include "text/detokenizer.h"

#include <gmock/gmock.h>

#include "core/utf8.h"
#include "golden.h"

namespace mii {
namespace {

// What a reader gets of a text that went through the tokenizer.
std::string there_and_back(const ClipTokenizer& clip, std::string_view text) {
  Detokenizer detokenizer(clip);
  std::string pieces;
  for (const int32_t id : clip.encode(text, 4096)) pieces += detokenizer.add(id);
  EXPECT_EQ(pieces, detokenizer.text());
  return pieces;
}

class DetokenizerOf : public testing::TestWithParam<const char*> {
 protected:
  const ClipTokenizer clip_ = ClipTokenizer::load(Golden(GetParam()).tokenizer());
};

TEST_P(DetokenizerOf, GivesBackWhatPeopleWrite) {
  for (const char* text :
       {"The heart is normal in size. No pleural effusion or pneumothorax.",
        "X-ray of the chest (two views): 3.2 cm nodule; stable!", "Isn't the patient's left lung clear? Yes.",
        "Grade 1/2 at t12, 50% of 10 patients. Normal.", "Rundherd über der lunge, naïve fièvre, 正常"})
    EXPECT_EQ(there_and_back(clip_, text), text);
}

// Capitals are lost but those that begin sentences, and so is the space behind a comma within a number.
TEST_P(DetokenizerOf, BeginsSentencesWithACapital) {
  EXPECT_EQ(there_and_back(clip_, "NO EFFUSION. seen BY us. 3 views."), "No effusion. Seen by us. 3 views.");
}

TEST_P(DetokenizerOf, LeavesOutWhatIsNoText) {
  EXPECT_EQ(there_and_back(clip_, "a <|endoftext|> b"), "A b");
  Detokenizer detokenizer(clip_);
  for (const int32_t id : {-1, 1 << 30, clip_.start_id()}) EXPECT_EQ(detokenizer.add(id), "");
}

// Any ids at all: what comes out is UTF-8 for people.
TEST_P(DetokenizerOf, WritesUtf8WithoutControlsWhateverTheIdsAre) {
  uint32_t state = 1;
  for (int text = 0; text < 200; ++text) {
    Detokenizer detokenizer(clip_);
    for (int i = 0; i < 50; ++i) {
      state = state * 1664525 + 1013904223;
      detokenizer.add(static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(clip_.vocabulary_size())));
    }
    EXPECT_EQ(find_invalid_utf8(detokenizer.text()), std::string::npos);
    EXPECT_EQ(printable(detokenizer.text()), detokenizer.text());
  }
}
INSTANTIATE_TEST_SUITE_P(Models, DetokenizerOf, testing::Values("tiny-a", "full"));

}  // namespace
}  // namespace mii
