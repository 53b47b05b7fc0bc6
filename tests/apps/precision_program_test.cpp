// `mii compare` and `mii convert --calibrate` as their users run them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "backend/registry.h"
#include "core/cosine.h"
#include "pipeline/vector_reader.h"
#include "procedural_model.h"
#include "run_program.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PrecisionProgram : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(images()); }
  void TearDown() override { fs::remove_all(folder_); }

  Result run(const std::string& arguments, const std::string& before = "") const {
    return run_shell(before + MII_PROGRAM " " + arguments, folder_);
  }
  std::string path(const char* name) const { return folder_ / name; }
  fs::path images() const { return folder_ / "images"; }
  void add_images(const std::vector<std::string>& names) const {
    for (const std::string& name : names)
      fs::copy_file(golden_folder() / "synthetic" / name, images() / name);
  }
  void add_broken_image() const { std::ofstream(images() / "broken.png") << "\x89PNG\r\n\x1a\n and no more"; }

  // The vectors of the images by the plain loops, which have int8 on every machine.
  Matrix embedded(const std::string& model, const std::string& precision) const {
    const Result r = run("embed --backend reference --precision " + precision + " --model " + model +
                         " --images " + images().string() + " --quiet --output " + path("v.npy"));
    EXPECT_EQ(r.status, 0) << r.err;
    return pipeline::read_vectors(path("v.npy")).vectors;
  }

  fs::path folder_ = fs::temp_directory_path() / ("mii-precision-" + std::to_string(getpid()));
};

std::string string_of(const boost::json::value& value) { return std::string(value.as_string()); }

bool has_fast_int8() { return std::ranges::count(find_backend("cpu").precisions(), Precision::int8) > 0; }

// What a user would compute from the vectors that `mii embed` writes.
TEST_F(PrecisionProgram, CompareHasTheFiguresOfTheEmbeddedVectors) {
  const ProceduralModel model("tiny-a");
  add_images({"rgb.png", "grey.png", "cmyk.jpg", "palette.png"});
  const Result r = run("compare " + model.folder().string() + " --backend reference --precision f32,int8 " +
                       images().string() + " --worst 3 --json --quiet");
  ASSERT_EQ(r.status, 0) << r.err;
  const auto json = boost::json::parse(r.out).as_object();

  const Matrix f32 = embedded(model.folder(), "f32"), int8 = embedded(model.folder(), "int8");
  std::vector<std::pair<double, std::string>> expected;
  const char* in_order[] = {"cmyk.jpg", "grey.png", "palette.png", "rgb.png"};
  ASSERT_EQ(f32.rows(), 4u);
  for (size_t i = 0; i < 4; ++i)
    expected.emplace_back(cosine_distance(f32.row(i), int8.row(i)), images() / in_order[i]);
  std::ranges::sort(expected, std::greater());

  const auto close = [](const boost::json::value& actual, double wanted) {
    EXPECT_NEAR(actual.as_double(), wanted, 1e-12);
  };
  EXPECT_EQ(string_of(json.at("from")), "f32");
  EXPECT_EQ(string_of(json.at("to")), "int8");
  EXPECT_EQ(json.at("images").as_int64(), 4);
  close(json.at("mean"), (expected[0].first + expected[1].first + expected[2].first + expected[3].first) / 4);
  close(json.at("median"), (expected[1].first + expected[2].first) / 2);
  close(json.at("largest"), expected[0].first);
  EXPECT_GT(expected[0].first, 1e-7);
  const auto& worst = json.at("worst").as_array();
  ASSERT_EQ(worst.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(string_of(worst[i].at("image")), expected[i].second);
    close(worst[i].at("distance"), expected[i].first);
  }
}

// The answers are those of `mii classify`.
TEST_F(PrecisionProgram, CompareCountsTheAnswersThatStayTheSame) {
  const ProceduralModel model("tiny-a");
  add_images({"rgb.png", "grey.png", "cmyk.jpg"});
  const std::string rest = " --backend reference --labels CT MRI X-Ray --json --quiet";
  const Result r =
      run("compare " + model.folder().string() + " --precision f32,int8 " + images().string() + rest);
  ASSERT_EQ(r.status, 0) << r.err;
  const auto json = boost::json::parse(r.out).as_object();
  std::map<std::string, std::string> best[2];
  for (const size_t k : {0, 1}) {
    const Result answers = run("classify " + images().string() + " --model " + model.folder().string() +
                               " --precision " + (k == 0 ? "f32" : "int8") + rest);
    ASSERT_EQ(answers.status, 0) << answers.err;
    std::istringstream lines(answers.out);
    for (std::string line; std::getline(lines, line);) {
      const auto object = boost::json::parse(line).as_object();
      best[k][string_of(object.at("image"))] = object.at("predictions").as_object().begin()->key();
    }
  }
  int64_t agreeing = 0;
  for (const auto& [image, label] : best[0]) agreeing += label == best[1].at(image) ? 1 : 0;
  EXPECT_EQ(json.at("agreeing").as_int64(), agreeing);
  for (const auto& image : json.at("worst").as_array()) {
    EXPECT_EQ(string_of(image.at("from")), best[0].at(string_of(image.at("image"))));
    EXPECT_EQ(string_of(image.at("to")), best[1].at(string_of(image.at("image"))));
  }
}

TEST_F(PrecisionProgram, CompareOfOnePrecisionWithItselfFindsNothing) {
  const ProceduralModel model("tiny-a");
  add_images({"rgb.png"});
  const Result r =
      run("compare " + model.folder().string() + " --precision f32,f32 " + images().string() + " --quiet");
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out,
              HasSubstr("f32 and f32, 1 images: cosine distance mean 0.00e+00, median 0.00e+00, largest "
                        "0.00e+00; same best label of 7: 1\n"));
}

TEST_F(PrecisionProgram, CompareSaysWhichImagesFailedAndComparesTheOthers) {
  const ProceduralModel model("tiny-a");
  add_images({"rgb.png"});
  add_broken_image();
  const Result r = run("compare " + model.folder().string() + " --precision f32,f32 " + images().string() +
                       " --json --quiet");
  EXPECT_EQ(r.status, 3);
  EXPECT_EQ(boost::json::parse(r.out).at("images").as_int64(), 1);
  EXPECT_THAT(r.err, HasSubstr("broken.png"));
  EXPECT_THAT(r.err, HasSubstr("1 input failed"));
}

TEST_F(PrecisionProgram, CompareRefusesWhatIsNoPairOfPrecisions) {
  add_images({"rgb.png"});
  for (const char* pair : {"f32", "f32,", "f32,f31", "auto,f32", "f32,bf16,int8"}) {
    const Result r = run("compare models/none --precision " + std::string(pair) + " " + images().string());
    EXPECT_EQ(r.status, 2) << pair;
    EXPECT_THAT(r.err, HasSubstr("expected two as in f32,int8")) << pair;
  }
  EXPECT_EQ(run("compare models/none").status, 2);  // no images
  const Result r = run("compare " + path("none") + " " + images().string());
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("none"));
}

TEST_F(PrecisionProgram, CompareRefusesAManifestWithoutTheColumn) {
  const ProceduralModel model("tiny-a");
  std::ofstream(path("table.tsv")) << "file\tmodality\na.png\tCT\n";
  const Result r = run("compare " + model.folder().string() + " --manifest " + path("table.tsv"));
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.err, HasSubstr("with a column 'path'"));
}

// oneDNN is told of a processor without exact products of bytes.
TEST_F(PrecisionProgram, WithoutFastInt8CompareAndCalibrationRefuseIt) {
  const ProceduralModel model("tiny-a");
  add_images({"rgb.png"});
  const std::string without = "DNNL_MAX_CPU_ISA=AVX2 ";
  const Result compared = run("compare " + model.folder().string() + " --backend cpu --precision f32,int8 " +
                                  images().string() + " --quiet",
                              without);
  EXPECT_EQ(compared.status, 1);
  EXPECT_THAT(compared.err, HasSubstr("backend cpu does not compute in int8 here; reference does"));
  const Result calibrated = run("convert " + model.folder().string() + " " + path("converted") +
                                    " --dtype int8 --calibrate " + images().string(),
                                without);
  EXPECT_EQ(calibrated.status, 1);
  EXPECT_THAT(calibrated.err, HasSubstr("no fast int8"));
  EXPECT_FALSE(fs::exists(path("converted")));
}

TEST_F(PrecisionProgram, ConvertCalibratesAndPrintsEachLayersShare) {
  if (!has_fast_int8()) GTEST_SKIP() << "int8 is not offered here";
  const ProceduralModel model("tiny-a", {}, {.outliers = true});
  add_images({"rgb.png", "grey.png"});
  const Result r = run("convert " + model.folder().string() + " " + path("converted") +
                       " --dtype int8 --calibrate " + images().string() + " --max-distance 3e-4 --threads 1");
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("share of the error, cosine distance of the layer alone, layer; 2 images\n"));
  EXPECT_THAT(r.out, HasSubstr(" of 43 layers in bf16\n"));
  EXPECT_THAT(r.out, HasSubstr("converted: written with int8 weights\n"));
  double percent = 0;
  size_t layers = 0, kept = 0;
  std::istringstream lines(r.out);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("  ")) {
      percent += std::stod(line);
      ++layers;
      kept += line.ends_with("stays in bf16") ? 1 : 0;
    }
  EXPECT_EQ(layers, 43u);
  EXPECT_GT(kept, 0u);
  EXPECT_NEAR(percent, 100, 43 * 0.05001);  // each is rounded to a tenth
  EXPECT_THAT(r.out, HasSubstr(" with " + std::to_string(kept) + " of 43 layers"));
}

TEST_F(PrecisionProgram, ConvertSmoothsWhereThatHelps) {
  if (!has_fast_int8()) GTEST_SKIP() << "int8 is not offered here";
  const ProceduralModel model("tiny-a", {}, {.outliers = true});
  add_images({"rgb.png", "grey.png"});
  const Result r =
      run("convert " + model.folder().string() + " " + path("converted") + " --dtype int8 --calibrate " +
          images().string() + " --smooth --max-distance 3e-4 --threads 1");
  ASSERT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, testing::ContainsRegex("with every layer in int8, [0-9.e-]+ smoothed\n"));
  EXPECT_THAT(r.out, testing::Not(HasSubstr("stays in bf16")));
}

TEST_F(PrecisionProgram, CalibrationSaysWhichImagesFailedAndTakesTheOthers) {
  if (!has_fast_int8()) GTEST_SKIP() << "int8 is not offered here";
  const ProceduralModel model("tiny-a");
  add_images({"rgb.png"});
  add_broken_image();
  const Result r = run("convert " + model.folder().string() + " " + path("converted") +
                       " --dtype int8 --calibrate " + images().string() + " --threads 1 --quiet");
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.err, HasSubstr("broken.png"));
  EXPECT_TRUE(fs::exists(fs::path(path("converted")) / "config.yaml"));
}

TEST_F(PrecisionProgram, CalibrationWithoutAnImageIsRefused) {
  const ProceduralModel model("tiny-a");
  const std::string command = "convert " + model.folder().string() + " " + path("converted") +
                              " --dtype int8 --calibrate " + images().string();
  Result r = run(command);
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.err, HasSubstr("no images in the folders"));
  add_broken_image();
  r = run(command);
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.err, HasSubstr("broken.png"));
  EXPECT_THAT(r.err, HasSubstr("no image that can be read"));
  EXPECT_FALSE(fs::exists(path("converted")));
}

TEST_F(PrecisionProgram, CalibrationWithFlagsThatDoNotFitIsRefused) {
  const std::string convert = "convert models/none " + path("converted") + " ";
  const std::string calibrate = "--calibrate " + images().string() + " ";
  EXPECT_THAT(run(convert + "--dtype bf16 " + calibrate).err, HasSubstr("only for --dtype int8"));
  for (const std::string& wrong :
       {"--dtype bf16 " + calibrate, std::string("--dtype int8 --max-distance 1e-3"),
        std::string("--dtype int8 --smooth"), "--dtype int8 " + calibrate + "--max-distance 0",
        "--dtype int8 " + calibrate + "--max-distance -1",
        "--dtype int8 " + calibrate + "--calibration-images 0",
        std::string("--dtype int8 --calibrate ") + path("nowhere")})
    EXPECT_EQ(run(convert + wrong).status, 2) << wrong;
}

TEST_F(PrecisionProgram, ADistanceThatIsNoNumberIsRefused) {
  if (!has_fast_int8()) GTEST_SKIP() << "int8 is not offered here";
  const ProceduralModel model("tiny-a");
  add_images({"rgb.png"});
  const Result r = run("convert " + model.folder().string() + " " + path("converted") +
                       " --dtype int8 --calibrate " + images().string() + " --max-distance nan --threads 1");
  EXPECT_EQ(r.status, 2);
  EXPECT_THAT(r.err, HasSubstr("expected a number above 0"));
  EXPECT_FALSE(fs::exists(path("converted")));
}

}  // namespace
}  // namespace mii
