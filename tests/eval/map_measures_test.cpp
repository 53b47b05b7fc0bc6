// Whole measurements of maps, with the model that comes with the program and images that it tells apart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "eval/map_measures.h"
#include "mii/error.h"
#include "weights/shuffled.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class MapMeasures : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-map-measures-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    const char* names[] = {"left", "right", "top", "bottom"};
    std::string table = "path,side,mask\n";
    for (int n = 0; n < 8; ++n) {
      const std::string name = std::to_string(n) + ".pgm";
      write(name, 16, 16, n);
      table += name + "," + names[n % 4] + (n == 0 ? ",mask.pgm" : n == 1 ? ",small.pgm" : ",") + "\n";
    }
    write("mask.pgm", 16, 16, 100);
    write("small.pgm", 8, 8, 100);
    std::ofstream(folder_ / "images.csv") << table;
    write_shuffled_model(MII_STARTER, folder_ / "shuffled", 1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Its left half is white where n is 100, else noise.
  void write(const std::string& name, int width, int height, int n) const {
    std::string pixels = "P5 " + std::to_string(width) + " " + std::to_string(height) + " 255\n";
    for (int p = 0; p < width * height; ++p)
      pixels += static_cast<char>(n == 100 ? (p % width < width / 2 ? 255 : 0) : (p * 37 + n * 101) % 251);
    std::ofstream(folder_ / name, std::ios::binary) << pixels;
  }
  static Engine open(const fs::path& model) {
    return Engine::open(model, {.precision = Precision::f32, .threads = 1});
  }

  fs::path folder_;
};

TEST_F(MapMeasures, EveryMethodPlaysAndTheSameSeedGivesTheSameFigures) {
  const Engine engine = open(MII_STARTER), shuffled = open(folder_ / "shuffled");
  const Manifest manifest = Manifest::read(folder_ / "images.csv");
  const MapMeasureOptions options{.field = "side", .canvases = 2, .images = 1, .rise_masks = 8};
  std::vector<pipeline::Failure> failures;
  const MapReport report = measure_maps(engine, shuffled, manifest, options, failures);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_THAT(failures[0].reason, HasSubstr("a mask of 8 x 8 pixels, its image has 16 x 16"));
  EXPECT_EQ(report.canvases, 2u);
  EXPECT_EQ(report.cells, 4u);
  EXPECT_EQ(report.masks, 1u);
  EXPECT_DOUBLE_EQ(report.mask_area, 0.5);
  EXPECT_GT(report.completeness, 0);
  EXPECT_LE(report.completeness, 1e-5);
  ASSERT_EQ(report.methods.size(), 8u);
  for (const MapFigures& figures : report.methods) {
    EXPECT_GE(figures.energy, 0) << figures.method;
    EXPECT_LE(figures.energy, 1) << figures.method;
  }
  EXPECT_TRUE(std::isnan(report.methods.back().deletion)) << "shuffled weights play the game alone";
  // A map that says the same of all labels has the energy of chance.
  EXPECT_NEAR(report.methods[6].energy, 0.25, 1e-6);
  std::vector<pipeline::Failure> again;
  EXPECT_EQ(to_json(measure_maps(engine, shuffled, manifest, options, again)), to_json(report));
  EXPECT_THAT(to_table(report), HasSubstr("map, weights shuffled"));
}

TEST_F(MapMeasures, OneLabelIsNotEnoughAndTheColumnMustBeThere) {
  const Engine engine = open(MII_STARTER);
  const Manifest all = Manifest::read(folder_ / "images.csv");
  std::vector<pipeline::Failure> failures;
  EXPECT_THROW(measure_maps(engine, engine, all, {.field = "age"}, failures), Error);
  const Manifest left = Manifest::read(folder_ / "images.csv", {"side=left"});
  EXPECT_THROW(measure_maps(engine, engine, left, {.field = "side"}, failures), Error);
}

TEST_F(MapMeasures, ShufflingKeepsTheTextsAndChangesTheImages) {
  const Engine engine = open(MII_STARTER), shuffled = open(folder_ / "shuffled");
  const std::vector<std::string> text{"x-ray"};
  const Matrix a = engine.encode_texts(text), b = shuffled.encode_texts(text);
  EXPECT_THAT(a.row(0), testing::ElementsAreArray(b.row(0)));
  const Image image = Image::read(folder_ / "0.pgm");
  EXPECT_NE(engine.encode_images({&image, 1}).row(0)[0], shuffled.encode_images({&image, 1}).row(0)[0]);
}

}  // namespace
}  // namespace mii
