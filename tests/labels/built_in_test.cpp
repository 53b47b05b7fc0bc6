// The rules of the files in labels/.
#include <gmock/gmock.h>
#include <unicode/normalizer2.h>
#include <unicode/unistr.h>

#include <map>
#include <set>

#include "core/file.h"
#include "labels/catalogue.h"
#include "labels/fold.h"
#include "labels/reading.h"
#include "text/clip_tokenizer.h"

namespace mii::labels {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::MatchesRegex;

const std::filesystem::path kSource = MII_SOURCE_DIR;

class BuiltIn : public testing::Test {
 protected:
  static void SetUpTestSuite() { catalogue_ = new Catalogue(Catalogue::built_in()); }
  static void TearDownTestSuite() { delete catalogue_; }

  static size_t count(Kind kind, auto meets) {
    size_t n = 0;
    for (const Concept& c : catalogue_->concepts()) n += c.kind == kind && meets(c) ? 1 : 0;
    return n;
  }
  static bool is_in_every_language(const Concept& c) {
    return std::ranges::none_of(c.names, [](const auto& names) { return names.empty(); });
  }

  static inline const Catalogue* catalogue_ = nullptr;
};

TEST_F(BuiltIn, HasTheLanguagesThatItPromises) {
  EXPECT_THAT(catalogue_->languages(),
              ElementsAre("en", "zh", "ja", "ko", "de", "fr", "es", "pt", "it", "ru", "ar"));
}

TEST_F(BuiltIn, HasEnoughEntriesAndNoneTwice) {
  const std::set<Entry> distinct(catalogue_->entries().begin(), catalogue_->entries().end());
  EXPECT_EQ(distinct.size(), catalogue_->entries().size());
  EXPECT_GE(distinct.size(), 900u);
  EXPECT_GE(count(Kind::finding, [](const Concept&) { return true; }), 300u);
}

TEST_F(BuiltIn, EntriesHaveAModalityABodyPartAndAFinding) {
  std::set<uint32_t> used;
  for (const Entry& entry : catalogue_->entries()) {
    for (const Kind kind : {Kind::modality, Kind::body_part, Kind::finding})
      EXPECT_TRUE(entry[static_cast<size_t>(kind)]) << catalogue_->prompt(entry);
    for (const auto& part : entry)
      if (part) used.insert(*part);
  }
  for (uint32_t c = 0; c < catalogue_->concepts().size(); ++c)
    EXPECT_TRUE(used.contains(c)) << catalogue_->concepts()[c].prompt << " is in no entry";
}

TEST_F(BuiltIn, NamesModalitiesBodyPartsAndViewsInEveryLanguage) {
  for (const Concept& c : catalogue_->concepts()) {
    if (c.kind == Kind::finding) continue;
    for (size_t language = 0; language < c.names.size(); ++language)
      EXPECT_GE(c.names[language].size(), c.kind == Kind::modality ? 3u : 1u)
          << c.prompt << " in " << catalogue_->languages()[language];
  }
  EXPECT_GE(count(Kind::finding, is_in_every_language), 150u);
}

TEST_F(BuiltIn, ANameMeansOneThingInALanguage) {
  std::map<std::pair<size_t, std::string>, std::string> meaning;
  for (const Concept& c : catalogue_->concepts())
    for (size_t language = 0; language < c.names.size(); ++language)
      for (const std::string& name : c.names[language]) {
        const auto [known, added] =
            meaning.try_emplace({language, language == 0 ? folded(name) : bare(name)}, c.prompt);
        EXPECT_TRUE(added) << name << " (" << catalogue_->languages()[language] << "): " << known->second
                           << ", " << c.prompt;
      }
}

TEST_F(BuiltIn, FilesAreInTheNormalForm) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(status);
  for (const char* name : {"names.tsv", "catalogue.tsv"}) {
    const std::string text = read_text_file(kSource / "labels" / name, 1 << 20);
    EXPECT_TRUE(nfc->isNormalizedUTF8(text, status)) << name;
    EXPECT_EQ(text.find("  "), std::string::npos) << name;
    EXPECT_EQ(text.find('"'), std::string::npos) << name;
  }
}

TEST_F(BuiltIn, PromptsAreWordsInTheStyleOfTraining) {
  EXPECT_THAT(catalogue_->prompt(catalogue_->entries().front()), "x-ray chest anteroposterior no finding");
  for (const Concept& c : catalogue_->concepts())
    EXPECT_THAT(c.prompt, MatchesRegex("[a-z0-9'-]+( [a-z0-9'-]+)*"));
}

TEST_F(BuiltIn, PromptsFitIntoTheTextTower) {
  const ClipTokenizer tokenizer =
      ClipTokenizer::load(kSource / "models/starter/language_model/clip_tokenizer_4.16.2");
  for (const Entry& entry : catalogue_->entries())
    EXPECT_LE(tokenizer.encode(catalogue_->prompt(entry), 1000).size(), 77u) << catalogue_->prompt(entry);
}

// What `mii labels --language L` prints may be given to `mii classify --labels`.
TEST_F(BuiltIn, UnderstandsEveryLabelThatItPrints) {
  for (size_t language = 1; language < catalogue_->languages().size(); ++language) {
    std::vector<std::string> labels, prompts;
    for (const Entry& entry : catalogue_->entries()) {
      labels.push_back(catalogue_->label(entry, language));
      prompts.push_back(catalogue_->prompt(entry));
    }
    const Reading reading = read_labels(*catalogue_, labels);
    EXPECT_THAT(reading.warnings, testing::IsEmpty());
    for (size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(reading.prompts[i], prompts[i]) << labels[i];
  }
}

// A name that is English as well stays as it is.
TEST_F(BuiltIn, UnderstandsEveryName) {
  for (const Concept& c : catalogue_->concepts())
    for (size_t language = 1; language < c.names.size(); ++language) {
      const Reading reading = read_labels(*catalogue_, c.names[language]);
      for (size_t i = 0; i < reading.prompts.size(); ++i) {
        const std::string& name = c.names[language][i];
        const std::string folded_name = folded(name);
        if (catalogue_->is_english_word(folded_name) || catalogue_->english(folded_name) != nullptr)
          EXPECT_EQ(reading.prompts[i], name);
        else
          EXPECT_EQ(reading.prompts[i], c.prompt) << name << " (" << catalogue_->languages()[language] << ")";
      }
    }
}

}  // namespace
}  // namespace mii::labels
