// Drafts and measures of reports as the program's users make them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include "core/file.h"
#include "golden.h"
#include "procedural_model.h"
#include "run_program.h"
#include "weights/report_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ReportsProgram : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = std::make_unique<ProceduralModel>("tiny-a"); }
  static void TearDownTestSuite() { model_.reset(); }
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-reports-program-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const char* name : {"rgb.png", "grey.jpg", "rgba.png"})
      fs::copy_file(golden_folder() / "synthetic" / name, folder_ / name);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result run(const std::string& arguments) const {
    return run_shell("cd " + folder_.string() + " && " MII_PROGRAM " " + arguments, folder_);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void fill() const {
    write("table.csv",
          "path,patient,text\nrgb.png,p1,No effusion. The heart is enlarged.\ngrey.jpg,p2,\"Without "
          "effusion, as on "
          "3/4/2020.\"\nrgba.png,p3,There is no pleural effusion.\n");
    ASSERT_EQ(run("collection create c").status, 0);
    ASSERT_EQ(run("collection add c --manifest table.csv" + model()).status, 0);
  }
  std::string model() const { return " --quiet --precision f32 --model " + model_->folder().string(); }

  static std::unique_ptr<ProceduralModel> model_;
  fs::path folder_;
};
std::unique_ptr<ProceduralModel> ReportsProgram::model_;

TEST_F(ReportsProgram, ADraftQuotesOtherImagesReportsWithTheirSources) {
  fill();
  write("new.sh", "cp rgb.png new.png\n");
  ASSERT_EQ(run_shell("cd " + folder_.string() + " && sh new.sh", folder_).status, 0);
  const Result json =
      run("draft new.png --collection c --least-support 0.6 --least-reports 2 --json" + model());
  ASSERT_EQ(json.status, 0) << json.err;
  const auto draft = boost::json::parse(json.out);
  ASSERT_EQ(draft.at("sentences").as_array().size(), 1u) << json.out;
  const auto& sentence = draft.at("sentences").at(0);
  EXPECT_EQ(sentence.at("text").as_string(), "No effusion.");
  EXPECT_EQ(sentence.at("sources").at(0).at("id").as_string(), "rgb.png");
  EXPECT_EQ(draft.at("held_back").as_int64(), 1) << "the sentence with a date is never quoted";

  const Result own = run("draft rgb.png --collection c" + model());
  EXPECT_EQ(own.status, 0);
  EXPECT_THAT(own.out, HasSubstr("not enough evidence: 2 similar images have a text, 3 are needed"))
      << "an image's own report is no source";
}

TEST_F(ReportsProgram, OtherImagesOfTheSamePatientAreNoSources) {
  write("table.csv",
        "path,patient,text\nrgb.png,p1,No effusion.\ngrey.jpg,p1,No effusion.\nrgba.png,p3,No effusion.\n");
  ASSERT_EQ(run("collection create c").status, 0);
  ASSERT_EQ(run("collection add c --manifest table.csv" + model()).status, 0);
  const Result draft = run("draft rgb.png --collection c" + model());
  ASSERT_EQ(draft.status, 0) << draft.err;
  EXPECT_THAT(draft.out, HasSubstr("not enough evidence: 1 similar images have a text, 3 are needed"));
}

TEST_F(ReportsProgram, ACollectionWithoutReportsIsRefused) {
  fill();
  const Result refused = run("draft rgb.png --collection c --text-column findings" + model());
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("c: has no column 'findings' with reports"));
}

TEST_F(ReportsProgram, MeasuresCandidatesBesideTheirBaselines) {
  write("reports.csv",
        "text,draft,patient\nNo effusion. The heart is enlarged.,Cardiomegaly.,a\nLeft effusion.,Small "
        "effusion.,b\nThe lungs are clear.,Clear lungs.,c\n");
  const Result measured = run("eval reports.csv --reports --candidate draft --resamples 10 --json out.json");
  ASSERT_EQ(measured.status, 0) << measured.err;
  EXPECT_THAT(measured.out, HasSubstr("candidate"));
  EXPECT_THAT(measured.out, HasSubstr("constant"));
  const auto json = boost::json::parse(text_of(folder_ / "out.json"));
  EXPECT_EQ(json.at("figures").at("candidate").at("finding_micro_f1").at(0).to_number<double>(), 1);
  EXPECT_TRUE(json.at("figures").as_object().contains("random"));
}

TEST_F(ReportsProgram, ATableWithoutTheColumnsIsRefused) {
  write("reports.csv", "text,patient\nNo effusion.,a\n");
  EXPECT_THAT(run("eval reports.csv --reports --candidate draft").err, HasSubstr("has no column 'draft'"));
  EXPECT_THAT(run("eval reports.csv --reports").err, HasSubstr("neither candidates nor headings"));
  EXPECT_EQ(run("eval reports.csv --candidate draft").status, 2);
  EXPECT_EQ(run("eval reports.csv --reports --field text").status, 2);
}

// A decoder of made-up weights, of the model or of another.
void write_decoder(const fs::path& folder, int64_t image_dim) {
  const ReportDecoderConfig config{
      .context_length = 32,
      .width = 32,
      .heads = 2,
      .layers = 1,
      .image_dim = image_dim,
      .vocabulary = ClipTokenizer::load(Golden("tiny-a").tokenizer()).vocabulary_size(),
      .least_support = 2.0f};
  fs::create_directories(folder);
  write_file(ReportModelFolder::in(folder).config, to_yaml(config));
  write_procedural_weights(report_decoder_specs(config), ReportModelFolder::in(folder).weights);
}

TEST_F(ReportsProgram, AReportIsADraftWhoseSentencesHaveTheirSupport) {
  write_decoder(folder_ / "decoder", 128);
  const std::string drawn = "report rgb.png --decoder decoder --top-p 0.95 --temperature 3 --max-tokens 20";
  const Result json = run(drawn + " --json" + model());
  ASSERT_EQ(json.status, 0) << json.err;
  const auto report = boost::json::parse(json.out);
  EXPECT_FALSE(report.at("findings").as_string().empty());
  EXPECT_EQ(report.at("usage").at("completion_tokens").as_int64(), 20);
  EXPECT_FALSE(report.at("sentences").at(0).at("supported").as_bool());  // no cosine reaches 2
  const Result text = run(drawn + " --precision f32 --model " + model_->folder().string());
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_TRUE(text.out.starts_with("[draft of a research system; not a report, not for diagnosis]\n"));
  EXPECT_THAT(text.out, HasSubstr(std::string(report.at("sentences").at(0).at("text").as_string())));
  EXPECT_THAT(text.out, HasSubstr("below 2.0000 there is none"));
  EXPECT_THAT(text.out, HasSubstr("(no support)"));
  EXPECT_THAT(text.out, HasSubstr("cut off at the most tokens"));
}

TEST_F(ReportsProgram, ReportsOfSeveralImagesAreThoseOfEachAlone) {
  write_decoder(folder_ / "decoder", 128);
  write("damaged.png", "no image");
  const std::string drawn =
      " --decoder decoder --top-p 0.95 --temperature 3 --max-tokens 20 --json" + model();
  const Result both = run("report rgb.png damaged.png grey.jpg" + drawn);
  EXPECT_EQ(both.status, 3);
  EXPECT_THAT(both.err, HasSubstr("damaged.png"));
  std::istringstream lines(both.out);
  for (const char* image : {"rgb.png", "grey.jpg"}) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    auto report = boost::json::parse(line).as_object();
    EXPECT_EQ(report.at("image").as_string(), image);
    EXPECT_EQ(report.at("model").as_string(), "medimageinsight");
    report.erase("image");
    EXPECT_EQ(report, boost::json::parse(run(std::string("report ") + image + drawn).out));
  }
  const Result text = run("report rgb.png grey.jpg --decoder decoder --max-tokens 5" + model());
  EXPECT_TRUE(
      text.out.starts_with("[draft of a research system; not a report, not for diagnosis]\nrgb.png\n"));
  EXPECT_THAT(text.out, HasSubstr("\ngrey.jpg\n"));
}

TEST_F(ReportsProgram, ADecoderThatDoesNotFitIsAnErrorWithBothWidths) {
  write_decoder(folder_ / "other", 96);
  const Result other = run("report rgb.png --decoder other" + model());
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.err, HasSubstr("width 96, but the image tower's have 128"));
  EXPECT_THAT(run("report rgb.png" + model()).err, HasSubstr("no report decoder"));
  EXPECT_EQ(run("report rgb.png --beams 2 --top-p 0.5" + model()).status, 2);
}

TEST_F(ReportsProgram, OptionsOfTheOtherObjectiveAreRefused) {
  write("table.tsv", "path\tsplit\ttext\nrgb.png\ttrain\tNo effusion.\n");
  const std::string train = "train --manifest table.tsv --out run --objective ";
  for (const char* option : {"--train text", "--optimizer muon", "--trim-vocabulary", "--margin 10",
                             "--calibrate", "--drop-path 0.1", "--quality 50"}) {
    const Result refused = run(train + "report " + option);
    EXPECT_EQ(refused.status, 2) << option;
    const std::string name = std::string(option).substr(0, std::string_view(option).find(' '));
    EXPECT_THAT(refused.err, HasSubstr(name + " means nothing with --objective report"));
  }
  for (const char* option : {"--text-column text", "--context 64", "--layers 1", "--dropout 0.2"}) {
    const Result refused = run(train + "unicl " + option);
    EXPECT_EQ(refused.status, 2) << option;
    EXPECT_THAT(refused.err, HasSubstr("means nothing with --objective unicl"));
  }
}

// From a table to a decoder that writes, and its figures.
TEST_F(ReportsProgram, ADecoderIsTrainedMeasuredAndUsed) {
  const std::string table =
      "path\tsplit\tpatient\ttext\nrgb.png\ttrain\tp1\tNo effusion. Seen by Dr. Miller.\n"
      "grey.jpg\ttrain\tp2\tCardiomegaly.\nmissing.png\ttrain\tp3\tNo effusion.\n"
      "rgba.png\teval\tp4\tThe heart is enlarged. No effusion.\nrgb.png\teval\tp5\t\n";
  write("table.tsv", table + "rgb.png\teval\tp6\tNo effusion.\n");
  const std::string train =
      "train --objective report --manifest table.tsv --epochs 2 --batch 2 --layers 1 --context 64 --out run "
      "--model " +
      model_->folder().string();
  const Result trained = run(train);
  if (trained.err.find("no mii-train") != std::string::npos) GTEST_SKIP() << "built without the trainer";
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("2 texts to learn from, 2 to validate; 1 rows without a text"));
  EXPECT_THAT(trained.err, HasSubstr("masked in 1 texts: 1 name"));
  EXPECT_THAT(trained.err, HasSubstr("missing.png: left out"));
  EXPECT_THAT(trained.out, HasSubstr("constant"));
  EXPECT_THAT(read_text_file(folder_ / "run" / "best" / "config.yaml", 1 << 16), HasSubstr("LEAST_SUPPORT"));
  const auto measures = boost::json::parse(read_text_file(folder_ / "run" / "measures.json", 1 << 20));
  EXPECT_TRUE(measures.is_object());
  EXPECT_THAT(read_text_file(folder_ / "run" / "reports.tsv", 1 << 20),
              HasSubstr("rgba.png\tp4\tThe heart is enlarged. No effusion.\t"));
  EXPECT_EQ(run("report rgba.png --decoder run/best --json" + model()).status, 0);
  const auto written = fs::last_write_time(folder_ / "run" / "problem.safetensors");
  const Result again = run(train);
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("run holds a checkpoint: resume with --resume"));
  EXPECT_EQ(fs::last_write_time(folder_ / "run" / "problem.safetensors"), written);
  write("table.tsv", table);
  fs::remove_all(folder_ / "run");
  const Result alone = run(train);
  EXPECT_EQ(alone.status, 0);
  EXPECT_THAT(alone.err, HasSubstr("reports of fewer than two patients: they are not measured"));
}

}  // namespace
}  // namespace mii
