#include "text/clip_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>

#include "golden.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::SizeIs;

ClipTokenizer tokenizer() { return ClipTokenizer::load(Golden("full").tokenizer()); }

class GoldenIds : public testing::TestWithParam<const char*> {};

TEST_P(GoldenIds, EqualTheReference) {
  const Golden golden(GetParam());
  const ClipTokenizer clip = ClipTokenizer::load(golden.tokenizer());
  const auto ids = golden.values<int64_t>("text/input_ids");
  const auto mask = golden.values<int64_t>("text/attention_mask");
  const size_t context = static_cast<size_t>(golden.shape("text/input_ids")[1]);
  const auto texts = golden.strings("texts");
  size_t compared = 0;
  for (size_t t = 0; t < texts.size(); ++t) {
    if (ftfy_changes(texts[t])) continue;
    std::vector<int32_t> expected;
    for (size_t i = t * context; i < (t + 1) * context && mask[i] == 1; ++i)
      expected.push_back(static_cast<int32_t>(ids[i]));
    EXPECT_EQ(clip.encode(texts[t], context), expected) << "text " << t << ": " << texts[t].substr(0, 60);
    ++compared;
  }
  EXPECT_GE(compared, 25u);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenIds, testing::Values("tiny-a", "tiny-b", "full"));

// tests/text/make_cases.py writes the cases: texts, and the ids that transformers and ftfy give them.
TEST(ClipTokenizer, GivesTheIdsOfTransformersWithFtfy) {
  const ClipTokenizer clip = tokenizer();
  const auto file = fs::path(MII_TEST_DATA) / "text" / "cases.json";
  const boost::json::value cases = boost::json::parse(read_text_file(file, 1 << 20));
  EXPECT_GE(cases.as_array().size(), 450u);
  for (const boost::json::value& item : cases.as_array()) {
    const auto text = boost::json::value_to<std::string>(item.at(0));
    EXPECT_EQ(clip.encode(text, 77), boost::json::value_to<std::vector<int32_t>>(item.at(1))) << item.at(0);
  }
}

// Each pass over a text makes the next entity of such a chain; the passes are limited.
TEST(ClipTokenizer, AMegabyteOfEntitiesWithinEntitiesIsQuick) {
  const ClipTokenizer clip = tokenizer();
  std::string text = "&";
  while (text.size() < (1 << 20) - 10) text += "amp;";
  const std::clock_t start = std::clock();
  EXPECT_THAT(clip.encode(text, 77), SizeIs(77));
  EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
}

TEST(ClipTokenizer, RepairsWhatPeoplePaste) {
  const ClipTokenizer clip = tokenizer();
  const auto expect_same = [&](const char* pasted, const char* plain) {
    EXPECT_EQ(clip.encode(pasted, 77), clip.encode(plain, 77)) << pasted;
  };
  expect_same("it\u2019s \u201cfine\u201d", "it's \"fine\"");
  expect_same("\ufb01brosis \ufb02uid", "fibrosis fluid");
  expect_same("\uff38\uff32\uff21\uff39 \uff11\uff12", "xray 12");
  expect_same("fish &amp; chips &lt;b&gt; &quot;x&quot; &#39;y&#39; &eacute; &#xE9;",
              "fish & chips <b> \"x\" 'y' \u00e9 \u00e9");
  expect_same("\u2028line sep\u2029para", "line sep para");
  expect_same("bom\ufeff ctrl\u0007", "bom ctrl");
}

TEST(ClipTokenizer, LeavesEntitiesThatAreNone) {
  const ClipTokenizer clip = tokenizer();
  EXPECT_NE(clip.encode("&nosuch; &#xD800; &#99999999; &", 77), clip.encode("", 77));
  EXPECT_EQ(clip.encode("<b> &amp;", 77), clip.encode("<B> &AMP;", 77))
      << "a text with markup keeps its entities";
}

TEST(ClipTokenizer, CutsToTheContextAndKeepsTheEndToken) {
  const ClipTokenizer clip = tokenizer();
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "lung ";
  const auto ids = clip.encode(text, 77);
  EXPECT_THAT(ids, SizeIs(77));
  EXPECT_EQ(ids.front(), clip.start_id());
  EXPECT_EQ(ids.back(), clip.end_id());
  EXPECT_EQ(clip.encode(text, 2), (std::vector<int32_t>{clip.start_id(), clip.end_id()}));
}

TEST(ClipTokenizer, RefusesInvalidUtf8WithItsOffset) {
  const ClipTokenizer clip = tokenizer();
  for (const char* bad : {"abc\xFF", "abc\xC3", "abc\xED\xA0\x80", "abc\xF5\x80\x80\x80", "abc\xC0\xAF"}) {
    try {
      clip.encode(bad, 77);
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_text);
      EXPECT_THAT(e.what(), HasSubstr("byte 3"));
    }
  }
}

TEST(ClipTokenizer, AMegabyteOfOneWordIsQuick) {
  const ClipTokenizer clip = tokenizer();
  EXPECT_THAT(clip.encode(std::string(1 << 20, 'x'), 77), SizeIs(77));
  EXPECT_THROW(clip.encode(std::string((1 << 20) + 1, 'x'), 77), Error);
}

class DamagedTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-tokenizer-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::copy(Golden("tiny-a").tokenizer(), folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const char* name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void expect_refused(const std::string& reason) {
    try {
      ClipTokenizer::load(folder_);
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_model);
      EXPECT_THAT(e.what(), HasSubstr(reason));
    }
  }

  fs::path folder_;
};

TEST_F(DamagedTokenizer, MissingFile) {
  fs::remove(folder_ / "merges.txt");
  expect_refused("merges.txt");
}
TEST_F(DamagedTokenizer, VocabularyIsNotJson) {
  write("vocab.json", "{\"a\": 1,");
  expect_refused("vocab.json: not valid JSON");
}
TEST_F(DamagedTokenizer, VocabularyIsAList) {
  write("vocab.json", "[1]");
  expect_refused("object of token to id");
}
TEST_F(DamagedTokenizer, NegativeHugeOrFractionalId) {
  for (const char* id : {"-1", "99999999999", "1.5", "\"1\""}) {
    write("vocab.json", std::string("{\"a\": ") + id + "}");
    expect_refused("whole number");
  }
}
TEST_F(DamagedTokenizer, MergeOfThreeSymbols) {
  write("merges.txt", "#version: 0.2\ni n\ni n g\n");
  expect_refused("merges.txt:3");
}
TEST_F(DamagedTokenizer, MergeWhoseResultHasNoId) {
  write("merges.txt", "#version: 0.2\nq q\n");
  expect_refused("not in the vocabulary");
}
TEST_F(DamagedTokenizer, NoEndToken) {
  write("vocab.json", "{\"a\": 0}");
  write("merges.txt", "#version: 0.2\n");
  expect_refused("special token");
}
TEST_F(DamagedTokenizer, SpecialTokenThatIsNoText) {
  write("special_tokens_map.json", "{\"eos_token\": 7}");
  expect_refused("eos_token is no text");
}
TEST_F(DamagedTokenizer, ATrimmedVocabularyGivesTheUnknownToken) {
  write("vocab.json", R"({"a</w>": 0, "<|startoftext|>": 1, "<|endoftext|>": 2})");
  write("merges.txt", "#version: 0.2\n");
  EXPECT_EQ(ClipTokenizer::load(folder_).encode("a b", 77), (std::vector<int32_t>{1, 0, 2, 2}));
}

}  // namespace
}  // namespace mii
