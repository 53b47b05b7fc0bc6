// mii explain as its users run it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstring>
#include <fstream>

#include "mii/image.h"
#include "procedural_model.h"
#include "run_program.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::HasSubstr;

class ExplainProgram : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-explain-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (int n = 0; n < 10; ++n) {
      std::string pixels = "P5 8 8 255\n";
      for (int p = 0; p < 64; ++p)
        pixels += static_cast<char>(((p % 8 < 4) == (n % 2 == 0) ? 180 : 20) + (p * 37 + n * 101) % 50);
      std::ofstream(folder_ / (std::to_string(n) + ".pgm"), std::ios::binary) << pixels;
    }
    std::ofstream(folder_ / "bad.png") << "no image";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  std::string model() const { return " --precision f32 --model " + model_.folder().string() + " "; }
  Result run(const std::string& command, const std::string& arguments) const {
    return run_program(command + model() + arguments, folder_);
  }
  Result explain(const std::string& arguments) const { return run("explain", arguments); }

  ProceduralModel model_{"tiny-a"};
  fs::path folder_;
};

double sum_of(const json::value& grid) {
  double sum = 0;
  for (const json::value& row : grid.as_array())
    for (const json::value& part : row.as_array()) sum += part.to_number<double>();
  return sum;
}

TEST_F(ExplainProgram, PartsAndConstantAddUpToTheScoreAndTheMapToNothing) {
  const Result r = explain("--json --labels a b c --out " + file("maps") + " " + file("0.pgm"));
  ASSERT_EQ(r.status, 0) << r.err;
  const json::object answer = json::parse(r.out).as_object();
  ASSERT_EQ(answer.at("labels").as_array().size(), 3u);
  for (const json::value& label : answer.at("labels").as_array()) {
    EXPECT_NEAR(sum_of(label.at("parts")) + label.at("constant").to_number<double>(),
                label.at("score").to_number<double>(), 1e-5);
    EXPECT_NEAR(sum_of(label.at("map")), 0, 1e-5);
  }
  for (const char* name : {"1-0.pgm-1.png", "1-0.pgm-2.png", "1-0.pgm-3.png"})
    EXPECT_GT(Image::read(folder_ / "maps" / name).width(), 0u);
}

TEST_F(ExplainProgram, EveryMethodTellsTheScoreAndMapsOfItsGrid) {
  const auto answer = [&](const std::string& method) {
    const Result r = explain("--json --labels a b --method " + method + " --masks 4 " + file("0.pgm"));
    EXPECT_EQ(r.status, 0) << r.err;
    return json::parse(r.out).as_object();
  };
  const double score = answer("exact").at("labels").at(1).at("score").to_number<double>();
  for (const auto& [method, rows] :
       {std::pair("gradient", 6), std::pair("occlusion", 3), std::pair("rise", 16)}) {
    const json::object of_image = answer(method);
    EXPECT_EQ(of_image.at("rows").to_number<int>(), rows) << method;
    const json::object& label = of_image.at("labels").at(1).as_object();
    EXPECT_NEAR(label.at("score").to_number<double>(), score, 2e-6) << method;
    EXPECT_NEAR(sum_of(label.at("map")), 0, 1e-5) << method;
    EXPECT_FALSE(label.contains("parts")) << method;
  }
}

TEST_F(ExplainProgram, SaysAgainstWhatMapsAreShown) {
  EXPECT_THAT(explain("--labels a -- " + file("0.pgm")).err, HasSubstr("the catalogue's modalities"));
  EXPECT_THAT(explain("--labels a b -- " + file("0.pgm")).err, HasSubstr("the mean of the labels"));
  const Result versus = explain("--labels a --versus b " + file("0.pgm"));
  EXPECT_THAT(versus.err, HasSubstr("maps are shown against b"));
  EXPECT_THAT(versus.out, HasSubstr("a and not b"));
}

TEST_F(ExplainProgram, ExplainsLinearHeadsAndRefusesNeighbours) {
  std::ofstream table(folder_ / "images.csv");
  table << "path,patient,side,age\n";
  for (int n = 0; n < 10; ++n)
    table << n << ".pgm,p" << n << ',' << (n % 2 == 0 ? "left" : "right") << ',' << 20 + n << '\n';
  table.close();
  const std::string fit = file("images.csv") + " --out " + file("x.head") + " --field ";
  for (const char* head : {"side", "age --kind ridge"}) {
    ASSERT_EQ(run("fit", fit + head).status, 0);
    const Result r = explain("--json --head " + file("x.head") + " " + file("0.pgm"));
    ASSERT_EQ(r.status, 0) << r.err;
    const json::value answer = json::parse(r.out);
    for (const json::value& label : answer.as_object().at("labels").as_array())
      EXPECT_NEAR(sum_of(label.at("parts")) + label.at("constant").to_number<double>(),
                  label.at("score").to_number<double>(), 1e-3);
  }
  ASSERT_EQ(run("fit", fit + "side --kind knn").status, 0);
  const Result r = explain("--head " + file("x.head") + " " + file("0.pgm"));
  EXPECT_NE(r.status, 0);
  EXPECT_THAT(r.err, HasSubstr("neighbours vote"));
}

TEST_F(ExplainProgram, ABadImageIsListedAndTheOthersAreExplained) {
  const Result r = explain("--labels a b -- " + file("bad.png") + " " + file("0.pgm"));
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.err, HasSubstr("bad.png"));
  EXPECT_THAT(r.out, HasSubstr("0.pgm"));
}

TEST_F(ExplainProgram, RefusesALabelAgainstItself) {
  EXPECT_THAT(explain("--labels a --versus a " + file("0.pgm")).err, HasSubstr("there is no other label"));
}

TEST_F(ExplainProgram, WritesGridsBesideTheOverlays) {
  ASSERT_EQ(explain("--labels a b --out " + file("maps") + " " + file("0.pgm")).status, 0);
  const json::object grids = json::parse(text_of(folder_ / "maps" / "1-0.pgm.json")).as_object();
  EXPECT_EQ(grids.at("image").as_string(), file("0.pgm"));
  const std::string npy = text_of(folder_ / "maps" / "1-0.pgm.npy");
  const auto rows = grids.at("rows").to_number<size_t>(), cols = grids.at("cols").to_number<size_t>();
  EXPECT_THAT(npy, HasSubstr("'shape': (2, " + std::to_string(rows) + ", " + std::to_string(cols) + ")"));
  const size_t header = npy.find('\n') + 1;
  ASSERT_EQ(npy.size(), header + 2 * rows * cols * sizeof(float));
  float last = 0;
  std::memcpy(&last, npy.data() + npy.size() - sizeof(float), sizeof(float));
  EXPECT_EQ(last, static_cast<float>(
                      grids.at("labels").at(1).at("map").at(rows - 1).at(cols - 1).to_number<double>()));
}

TEST_F(ExplainProgram, ClassifyWritesTheSameMaps) {
  ASSERT_EQ(explain("--labels a b --out " + file("maps") + " " + file("0.pgm")).status, 0);
  const Result plain = run("classify", "--labels a b -- " + file("0.pgm"));
  const Result r = run("classify", "--labels a b --explain " + file("too") + " " + file("0.pgm"));
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.out, plain.out);
  for (const char* name : {"1-0.pgm.json", "1-0.pgm.npy", "1-0.pgm-1.png", "1-0.pgm-2.png"})
    EXPECT_EQ(text_of(folder_ / "too" / name), text_of(folder_ / "maps" / name)) << name;
}

TEST_F(ExplainProgram, AFolderThatCannotBeAndAFullDiskAreSaid) {
  const Result taken = explain("--labels a b --out " + file("1.pgm") + " " + file("0.pgm"));
  EXPECT_NE(taken.status, 0);
  EXPECT_THAT(taken.err, HasSubstr("1.pgm: cannot be a folder of maps: "));
  // Files may have 512 bytes, less than any overlay.
  const Result full = run_shell("trap '' XFSZ; ulimit -f 1; " MII_PROGRAM " explain" + model() +
                                    "--labels a b --out " + file("maps") + " " + file("0.pgm"),
                                folder_);
  EXPECT_NE(full.status, 0);
  EXPECT_THAT(full.err, HasSubstr("File too large"));
  EXPECT_FALSE(fs::exists(folder_ / "maps" / "1-0.pgm-1.png"));
}

TEST_F(ExplainProgram, RefusesAModelWhoseLastStageHasOneToken) {
  const fs::path small = folder_ / "small";
  fs::copy(model_.folder(), small, fs::copy_options::recursive);
  std::string config = text_of(small / "config.yaml");
  for (size_t at = config.find("  - 96"); at != std::string::npos; at = config.find("  - 96"))
    config.replace(at, 6, "  - 16");
  fs::remove(small / "config.yaml");
  std::ofstream(small / "config.yaml") << config;
  const Result r =
      run_program("explain --labels a b --model " + small.string() + " " + file("0.pgm"), folder_);
  EXPECT_NE(r.status, 0);
  EXPECT_THAT(r.err, HasSubstr("last stage has one token"));
}

}  // namespace
}  // namespace mii
