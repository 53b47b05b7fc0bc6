// The program with heads as its users run it: fit, look, classify.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>

#include "procedural_model.h"
#include "run_program.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::HasSubstr;

// 40 images of 20 patients, half of them dark with a bright left half, half of them the other way round; and
// their vectors.
class HeadsProgram : public testing::Test {
 protected:
  static constexpr int kImages = 40, kSide = 8;

  static void SetUpTestSuite() {
    model_ = std::make_unique<ProceduralModel>("tiny-a");
    folder_ = fs::temp_directory_path() / ("mii-heads-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream table(folder_ / "images.csv");
    table << "path,patient,source,split,side,findings,age,empty\n";
    for (int i = 0; i < kImages; ++i) {
      const bool left = i / 2 % 2 == 0;
      const std::string name = "image" + std::to_string(i) + ".pgm";
      std::ofstream(folder_ / name, std::ios::binary) << image(left, i);
      table << name << ",p" << i / 2 << ",here," << (i < 30 ? "train" : "val") << ','
            << (left ? "left" : "right") << ','
            << (i % 2 == 0 ? "a;b"
                : left     ? "a"
                           : "b|c")
            << ',' << (left ? 60 : 20) + i % 5 << ",\n";
    }
    table.close();
    ASSERT_EQ(
        run("embed" + model() + "--manifest " + file("images.csv") + " --output " + file("v.npy")).status, 0);
  }
  static void TearDownTestSuite() {
    fs::remove_all(folder_);
    model_.reset();
  }

  static std::string image(bool left, int number) {
    std::string pixels = "P5 8 8 255\n";
    for (int p = 0; p < kSide * kSide; ++p)
      pixels +=
          static_cast<char>(((p % kSide < kSide / 2) == left ? 180 : 20) + (p * 37 + number * 101) % 50);
    return pixels;
  }

  static std::string file(const std::string& name) { return (folder_ / name).string(); }
  static std::string model() { return " --quiet --precision f32 --model " + model_->folder().string() + " "; }
  static Result run(const std::string& arguments) { return run_program(arguments, folder_); }
  static Result fit_images(const std::string& arguments) {
    return run("fit " + file("images.csv") + model() + "--out " + file("x.head") + " " + arguments);
  }
  static Result fit(const std::string& arguments) {
    return fit_images("--vectors " + file("v.npy") + " " + arguments);
  }
  static json::object classified(const std::string& name) {
    const Result r = run("classify" + model() + file(name) + " --json --head " + file("x.head"));
    EXPECT_EQ(r.status, 0) << r.err;
    return json::parse(r.out).as_object();
  }

  static std::unique_ptr<ProceduralModel> model_;
  static fs::path folder_;
};
std::unique_ptr<ProceduralModel> HeadsProgram::model_;
fs::path HeadsProgram::folder_;

TEST_F(HeadsProgram, FitsEachKindAndClassifiesWithBands) {
  for (const char* kind : {"logistic", "knn", "ss-text", "lp++ --with-texts --template 'bright on the {}'"}) {
    const Result r =
        fit(std::string("--field side --point sensitivity=0.95 --point specificity=0.95 --kind ") + kind);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("2 labels"));
  }
  ASSERT_EQ(fit("--field side --point youden").status, 0);
  for (const char* name : {"image0.pgm", "image2.pgm"}) {
    const json::object answer = classified(name);
    const auto& predictions = answer.at("predictions").as_object();
    const std::string best = name == std::string("image0.pgm") ? "left" : "right";
    EXPECT_EQ(predictions.begin()->key(), best);
    EXPECT_EQ(predictions.size(), 2u);
    const auto& band = answer.at("bands").as_object().at(best).as_object();
    EXPECT_EQ(band.at("band"), "positive");
    EXPECT_EQ(band.at("point"), "youden");
  }
}

TEST_F(HeadsProgram, VectorsFromAFileGiveTheHeadThatTheImagesGive) {
  ASSERT_EQ(fit_images("--field side").status, 0);
  const std::string from_images = text_of(file("x.head"));
  ASSERT_EQ(fit("--field side").status, 0);
  EXPECT_EQ(text_of(file("x.head")), from_images);
}

TEST_F(HeadsProgram, RowsWithoutAVectorAndVectorsWithoutAnIdentityAreNamed) {
  const std::string some = file("some.npy");
  ASSERT_EQ(
      run("embed" + model() + "--manifest " + file("images.csv") + " --where split=train --output " + some)
          .status,
      0);
  const Result r = fit_images("--field side --vectors " + some);
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.err, HasSubstr("image30.pgm: has no vector in"));
  EXPECT_THAT(r.out, HasSubstr("fitted on     22 images of 11 patients"));

  fs::remove(some + ".identity.json");
  const Result unknown = fit_images("--field side --vectors " + some);
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("does not say by what the vectors were made"));
}

TEST_F(HeadsProgram, AnswersSeveralLabelsAndNumbers) {
  ASSERT_EQ(fit("--field findings --multilabel").status, 0);
  double sum = 0;
  const json::object several = classified("image0.pgm");
  for (const auto& [label, p] : several.at("predictions").as_object()) sum += p.as_double();
  EXPECT_GT(sum, 1.1);  // a and b hold
  ASSERT_EQ(fit("--field age --kind ridge").status, 0);
  const json::object answer = classified("image0.pgm");
  EXPECT_EQ(answer.at("field"), "age");
  EXPECT_NEAR(answer.at("value").to_number<double>(), 60, 5);
}

TEST_F(HeadsProgram, TrainsHiddenLayersAndUsesThemAsAnyHead) {
  if (!fs::exists(fs::path(MII_PROGRAM).parent_path() / "mii-train"))
    GTEST_SKIP() << "this build has no trainer";
  const std::string kind = "--kind mlp --hidden 32 --learning-rate 0.01 ";
  const Result r = fit(kind + "--field side --point youden");
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.err, "");
  EXPECT_THAT(r.out, HasSubstr("mlp head for 'side': 2 labels"));
  EXPECT_THAT(r.out, HasSubstr("chosen by the loss of 8 images of 4 patients"));
  const std::string head = text_of(file("x.head"));
  ASSERT_EQ(fit(kind + "--field side --point youden").status, 0);
  EXPECT_EQ(text_of(file("x.head")), head);
  const json::object answer = classified("image0.pgm");
  EXPECT_EQ(answer.at("predictions").as_object().begin()->key(), "left");
  EXPECT_EQ(answer.at("bands").as_object().at("left").as_object().at("band"), "positive");
  const Result eval = run("eval " + file("images.csv") + model() + "--field side --head " + file("x.head"));
  EXPECT_EQ(eval.status, 0) << eval.err;
  EXPECT_THAT(eval.out, HasSubstr("head x.head"));
  const Result map =
      run("explain " + file("image0.pgm") + model() + "--head " + file("x.head") + " --out " + file("maps"));
  EXPECT_EQ(map.status, 1);
  EXPECT_THAT(map.err, HasSubstr("hidden layers"));

  ASSERT_EQ(fit(kind + "--field age --number").status, 0);
  EXPECT_NEAR(classified("image0.pgm").at("value").to_number<double>(), 60, 8);
  ASSERT_EQ(fit(kind + "--field findings --multilabel --balanced").status, 0);
  EXPECT_EQ(classified("image0.pgm").at("predictions").as_object().size(), 3u);
  EXPECT_EQ(fit("--kind mlp --field side --learning-rate 1e30").status, 1);
}

TEST_F(HeadsProgram, SaysThatHiddenLayersNeedTheTrainer) {
  fs::copy_file(MII_PROGRAM, folder_ / "mii");
  const Result r = run_shell(file("mii") + " fit " + file("images.csv") + model() + "--vectors " +
                                 file("v.npy") + " --field side --kind mlp --out " + file("none.head"),
                             folder_);
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("no mii-train beside"));
  EXPECT_FALSE(fs::exists(file("none.head")));
}

TEST_F(HeadsProgram, CalibratesOnRowsThatAreNamed) {
  const Result r = fit("--field side --where split=train --calibrate-where split=val");
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("fitted on     30 images of 15 patients"));
  EXPECT_THAT(r.out, HasSubstr("held out      10 images of 5 patients"));
  const Result info = run("head info " + file("x.head"));
  EXPECT_EQ(info.status, 0);
  EXPECT_THAT(r.out, HasSubstr(info.out));
  const Result as_json = run("head info --json " + file("x.head"));
  EXPECT_EQ(json::parse(as_json.out).as_object().at("record").as_object().at("groups"), 15);
}

TEST_F(HeadsProgram, RefusesWhatMakesNoSense) {
  const std::pair<const char*, const char*> cases[] = {
      {"--field nothing", "no column 'nothing'"},
      {"--field empty", "field 'empty' is empty in all rows"},
      {"--field side --where side=left", "one label only, 'left'"},
      {"--field side --kind ridge", "'left' is not a number"},
      {"--field age --number", "kind logistic is for a field of labels, not of numbers"},
      {"--field side --point sensitivity=2", "operating point 'sensitivity=2'"},
      {"--field side --calibrate-where patient=p1 --where split=val",
       "no row is left to fit, or none to calibrate"},
      {"--field side --calibrate-where age=60,61", "have images in both parts"},
  };
  for (const auto& [arguments, reason] : cases) {
    const Result r = fit(arguments);
    EXPECT_EQ(r.status, 2) << arguments;
    EXPECT_THAT(r.err, HasSubstr(reason)) << arguments;
  }
  ASSERT_EQ(fit("--field side").status, 0);
  const std::string classify = "classify" + model() + file("image0.pgm");
  const Result other = run(classify + " --profile voi --head " + file("x.head"));
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("preprocessing: 'profile voi', expected 'profile auto'"));
  EXPECT_EQ(run(classify + " --labels a --head " + file("x.head")).status, 2);
  std::ofstream(file("x.head"), std::ios::app) << "more";
  const Result damaged = run(classify + " --head " + file("x.head"));
  EXPECT_EQ(damaged.status, 1);
  EXPECT_THAT(damaged.err, HasSubstr("4 bytes follow the last tensor"));
}

}  // namespace
}  // namespace mii
