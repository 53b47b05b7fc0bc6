#include "text/trim_vocabulary.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <map>

#include "core/file.h"
#include "golden.h"
#include "text/clip_tokenizer.h"

namespace mii {
namespace {

class TrimVocabulary : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  const std::filesystem::path full_ = golden_folder() / "full" / "language_model" / "clip_tokenizer_4.16.2";
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("mii-trim-" + std::to_string(getpid()));
};

// Both spelt out: the ids differ, but must stand for the same tokens.
std::vector<std::string> spelt(const std::filesystem::path& tokenizer, const std::string& text) {
  const ClipTokenizer t = ClipTokenizer::load(tokenizer);
  std::map<int64_t, std::string> tokens;
  const auto vocabulary = boost::json::parse(read_text_file(tokenizer / "vocab.json", 64 << 20));
  for (const auto& [token, id] : vocabulary.as_object()) tokens[id.as_int64()] = std::string(token);
  std::vector<std::string> words;
  for (const int32_t id : t.encode(text, 77)) words.push_back(tokens.at(id));
  return words;
}

TEST_F(TrimVocabulary, KeepsTheTokensOfTheTextsAndStillEncodesAnyOther) {
  const std::vector<std::string> texts{"computed tomography of the chest showing COVID-19 pneumonia",
                                       "H&E stained histopathology slide", "x-ray", "na\xC3\xAFve"};
  const int64_t size = trim_vocabulary(full_, texts, folder_);
  EXPECT_LT(size, 700);
  for (const std::string& text : texts) EXPECT_EQ(spelt(folder_, text), spelt(full_, text)) << text;
  const ClipTokenizer trimmed = ClipTokenizer::load(folder_);
  EXPECT_EQ(trimmed.vocabulary_size(), size);
  const auto ids = trimmed.encode("an unheard-of word: \xE5\x8C\xBB", 77);
  EXPECT_EQ(ids.front(), trimmed.start_id());
  EXPECT_EQ(ids.back(), trimmed.end_id());
  EXPECT_EQ(std::count(ids.begin(), ids.end(), trimmed.end_id()), 1) << "a symbol is unknown";
  EXPECT_GT(ids.size(), 12u);
}

}  // namespace
}  // namespace mii
