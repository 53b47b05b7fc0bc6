// How names are found.
#include "labels/catalogue.h"

#include <gmock/gmock.h>

#include "core/json_writer.h"
#include "labels/fold.h"
#include "labels/listing.h"
#include "labels/reading.h"
#include "mii/error.h"

namespace mii::labels {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

constexpr std::string_view kSmallNames =
    "kind\tprompt\ten\tzh\tja\tfr\n"
    "modality\tx-ray\tradiograph\tX光; 胸透\tX線; レントゲン\tradiographie\n"
    "modality\tultrasound\tsonogram\t超声; B超\t超音波\téchographie\n"
    "body part\tchest\tthorax\t胸部\t胸部\tthorax; poitrine\n"
    "body part\tfoot\t\t脚\t足\tpied\n"
    "body part\tlower leg\t\t小腿\t脚\tjambe\n"
    "body part\tspleen\t\t脾\t脾臓\trate\n"
    "view\tnon-contrast\t\t平扫\t単純\tsimple\n"
    "finding\tpneumonia\t\t肺炎\t肺炎\tpneumonie\n"
    "finding\tfracture\t\t骨折\t骨折\tfracture\n"
    "finding\tlung cancer\t\t肺癌\t肺がん\tcancer du poumon\n"
    "english word\t\trate; simple\t\t\t\n"
    "linking word\t\t\t的\tの\tde; du\n";
constexpr std::string_view kSmallEntries =
    "modality\tbody part\tview\tfinding\n"
    "x-ray\tchest\t\tpneumonia\n"
    "x-ray\tfoot\t\tfracture\n"
    "ultrasound\tspleen\t\tpneumonia\n";

const Catalogue& small() {
  static const Catalogue catalogue = Catalogue::parse(kSmallNames, kSmallEntries);
  return catalogue;
}

std::string prompt_of(const std::string& label) {
  return read_labels(small(), std::vector<std::string>{label}).prompts.front();
}
std::vector<std::string> warnings_of(const std::string& label) {
  return read_labels(small(), std::vector<std::string>{label}).warnings;
}

TEST(ReadLabels, TakesANameInAnyLanguageForItsPrompt) {
  const std::vector<std::string> labels{"超声", "X光", "レントゲン", "échographie", "胸透"};
  EXPECT_THAT(read_labels(small(), labels).prompts,
              ElementsAre("ultrasound", "x-ray", "x-ray", "ultrasound", "x-ray"));
}

TEST(ReadLabels, MindsNeitherCaseNorWidthNorAccents) {
  for (const char* label :
       {"Échographie", "ECHOGRAPHIE", "e\u0301chographie", " Ｅchographie ", "Ｂ超", "b超"})
    EXPECT_EQ(prompt_of(label), "ultrasound") << label;
}

TEST(ReadLabels, TellsKanaWithAndWithoutVoicingApart) {
  EXPECT_EQ(prompt_of("肺がん"), "lung cancer");
  EXPECT_EQ(prompt_of("肺かん"), "肺かん");
}

TEST(ReadLabels, PutsTheNamesOfSeveralKindsIntoTheOrderOfAPrompt) {
  for (const char* label :
       {"胸部X光", "X光 胸部", "胸部 X光", "X線・胸部", "Radiographie thorax", "poitrine, radiographie"})
    EXPECT_EQ(prompt_of(label), "x-ray chest") << label;
}

TEST(ReadLabels, PassesOverWordsThatLinkNames) {
  for (const char* label : {"胸部的X光", "胸部のX線", "Radiographie du thorax"})
    EXPECT_EQ(prompt_of(label), "x-ray chest") << label;
  for (const char* label : {"的X光", "X光的", "X光的的胸部", "胸部のX光"}) EXPECT_EQ(prompt_of(label), label);
}

TEST(ReadLabels, LeavesEnglishLabelsAsTheyAre) {
  for (const char* label : {"X-Ray", "Thorax", "RADIOGRAPH thorax", "Ultrasound chest pneumonia", "Rate",
                            "simple fracture", "a text without names", "chest foot", "Fracture"})
    EXPECT_EQ(prompt_of(label), label);
}

TEST(ReadLabels, TakesForeignAndEnglishNamesTogether) {
  EXPECT_EQ(prompt_of("pneumonia X光"), "x-ray pneumonia");
  EXPECT_EQ(prompt_of("échographie rate"), "ultrasound spleen");
}

TEST(ReadLabels, DoesNotMixLanguages) { EXPECT_EQ(prompt_of("B超 poitrine"), "B超 poitrine"); }

TEST(ReadLabels, WarnsOfAnotherScriptThatItDoesNotKnow) {
  for (const char* label : {"肺部阴影", "пневмония", "φάρυγγας", "X光 unknown"})
    EXPECT_THAT(warnings_of(label), ElementsAre(HasSubstr(label))) << label;
  for (const char* label : {"超声", "Lungenentzündung", "α-synuclein", "SpO₂ < 90 %", "🫁", ""})
    EXPECT_THAT(warnings_of(label), IsEmpty()) << label;
}

TEST(ReadLabels, SaysWhichThingsALabelMeans) {
  EXPECT_EQ(prompt_of("脚"), "脚");
  EXPECT_THAT(warnings_of("脚"), ElementsAre(HasSubstr("foot, lower leg")));
  EXPECT_EQ(prompt_of("脚 B超"), "ultrasound foot");
  EXPECT_EQ(prompt_of("脚 レントゲン"), "x-ray lower leg");
}

TEST(ReadLabels, IsQuickWithLongAndDamagedLabels) {
  std::string names;
  while (names.size() < 1000) names += "胸部";
  const std::vector<std::string> labels(1000, names);
  EXPECT_EQ(read_labels(small(), labels).prompts, labels);
  EXPECT_EQ(prompt_of("\xE8\x83"), "\xE8\x83");
  EXPECT_EQ(prompt_of(std::string(1 << 20, 'x')).size(), size_t{1} << 20);
}

TEST(Listing, FindsByWordsInAnyLanguage) {
  const auto prompts = [](const Query& query) {
    std::vector<std::string> found;
    for (const Entry* entry : list(small(), query).entries) found.push_back(small().prompt(*entry));
    return found;
  };
  EXPECT_EQ(prompts({}).size(), 3u);
  EXPECT_THAT(prompts({.search = "pneum"}),
              ElementsAre("x-ray chest pneumonia", "ultrasound spleen pneumonia"));
  EXPECT_THAT(prompts({.search = "肺炎 Thorax"}), ElementsAre("x-ray chest pneumonia"));
  EXPECT_THAT(prompts({.modality = "B超"}), ElementsAre("ultrasound spleen pneumonia"));
  EXPECT_THAT(prompts({.search = "nothing of the kind"}), IsEmpty());
}

TEST(Listing, RefusesWhatTheCatalogueDoesNotHave) {
  EXPECT_THAT([] { list(small(), {.modality = "telepathy"}); },
              ThrowsMessage<Error>(HasSubstr("it has x-ray, ultrasound")));
  EXPECT_THAT([] { list(small(), {.modality = "chest"}); }, ThrowsMessage<Error>(HasSubstr("no modality")));
  EXPECT_THAT([] { list(small(), {.language = "xx"}); },
              ThrowsMessage<Error>(HasSubstr("it has en, zh, ja, fr")));
  std::string words;
  for (int i = 0; i < 17; ++i) words += "word ";
  EXPECT_THAT([&] { list(small(), {.search = words}); }, ThrowsMessage<Error>(HasSubstr("at most 16")));
}

TEST(Listing, WritesNamesInTheLanguage) {
  JsonWriter json(JsonWriter::Style::compact);
  write_entry(json, small(), small().entries().front(), small().language("zh"));
  EXPECT_EQ(json.finish(),
            R"({"label":"X光 胸部 肺炎","prompt":"x-ray chest pneumonia","modality":["X光","胸透"],)"
            R"("body_part":["胸部"],"view":null,"finding":["肺炎"]})");
}

TEST(Catalogue, SaysWhatIsWrongWithItsTables) {
  const auto message = [](const std::string& name_row, const std::string& entry_row) {
    try {
      Catalogue::parse("kind\tprompt\ten\nmodality\tx-ray\t\n" + name_row,
                       "modality\tbody part\tview\tfinding\n" + entry_row);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message("", "x-ray\t\t\t\n"), "");
  EXPECT_THAT(message("modality\tx-ray\t\n", "x-ray\t\t\t\n"), HasSubstr("'x-ray' comes twice"));
  EXPECT_THAT(message("organ\theart\t\n", "x-ray\t\t\t\n"), HasSubstr("kind 'organ'"));
  EXPECT_THAT(message("", "x-ray\theart\t\t\n"), HasSubstr("no body part 'heart'"));
  EXPECT_THAT([] { Catalogue::parse("kind\ten\na\tb\n", "modality\nx\n"); },
              ThrowsMessage<Error>(HasSubstr("columns")));
}

}  // namespace
}  // namespace mii::labels
