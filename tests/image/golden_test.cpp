// Images and their bytes as Pillow 9.4 gives them: tests/data/golden/image_cases.json.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "core/file.h"
#include "image/preprocess.h"
#include "image/sha256.h"
#include "real_images.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

const fs::path kGolden = fs::path(MII_TEST_DATA) / "golden";

const json::object& cases() {
  static const json::value parsed = json::parse(read_text_file(kGolden / "image_cases.json", 1 << 20));
  return parsed.as_object();
}

std::string text(const json::value& value) { return std::string(value.as_string()); }

void expect_resizes(const Image& image, const json::object& resized) {
  for (const auto& [size, hash] : resized) {
    const std::string name(size);  // "HxW"
    const size_t height = std::stoul(name);
    const size_t width = std::stoul(name.substr(name.find('x') + 1));
    EXPECT_EQ(sha256(resize_bicubic(image, width, height).pixels()), text(hash)) << "resized to " << name;
  }
}

void expect_case(const fs::path& path, const json::object& expected) {
  SCOPED_TRACE(path.filename().string());
  const Image image = Image::read(path);
  EXPECT_EQ(image.width(), expected.at("width").to_number<size_t>());
  EXPECT_EQ(image.height(), expected.at("height").to_number<size_t>());
  EXPECT_EQ(sha256(image.pixels()), text(expected.at("rgb_sha256")));
  expect_resizes(image, expected.at("resized").as_object());
}

TEST(PillowDecode, SyntheticImagesAreBitExact) {
  for (const auto& [name, expected] : cases().at("decode").as_object()) {
    expect_case(kGolden / "synthetic" / std::string(name), expected.as_object());
  }
}

struct RealImage {
  const char* name;
  const char* rgb_sha256;
  const char* resized_480_sha256;
};

constexpr RealImage kRealImages[] = {
    {"computed-tomography.jpg", "abe94dd030c88f9b94afda37f8c7966103f9556e8eba082fd9c2d03d05039290",
     "ff74bdd25f762d91777f7cc5056b5eeac208549ea1ee3c2164f7dc277e3801f3"},
    {"ultrasound.jpg", "3a201921b756d342acc3bd4fc2f05217434f24a2e406afc4e6d9153af09f3a98",
     "f24db3e4ed9d3e234e8536fa73bfe0f5e3e35d9fbb3a9fbd2b06051c26f62199"},
    {"x-ray.jpg", "ad7702c1e0698676edd8aa38065e54e49249a6068fc626e0c7ad9d4c3e57f17d",
     "0950cffa45b10601aee033c10220e58b850d265d7a09db45c018f85b787454df"},
};

TEST(PillowDecode, RealImagesAreBitExact) {
  if (real_images().empty())
    GTEST_SKIP() << "the real images are not here; MII_SHARED_GOLDEN names their folder";
  for (const RealImage& picture : kRealImages) {
    SCOPED_TRACE(picture.name);
    const Image image = Image::read(real_images() / "real" / picture.name);
    EXPECT_EQ(sha256(image.pixels()), picture.rgb_sha256);
    EXPECT_EQ(sha256(resize_bicubic(image, 480, 480).pixels()), picture.resized_480_sha256);
  }
}

// The image by formula that tests/data/golden was made with: a sum of two triangle waves and noise.
class FormulaImage {
 public:
  FormulaImage(size_t width, size_t height) : width_(width), height_(height) {}

  Image paint() const {
    std::vector<uint8_t> pixels(width_ * height_ * 3);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = value(i / 3 % width_, i / 3 / width_, i % 3, i);
    return Image::from_rgb(width_, height_, pixels);
  }

 private:
  static uint64_t fnv1a(std::string_view name) {
    uint64_t hash = 0xCBF29CE484222325;
    for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
    return hash;
  }
  static int noise(size_t i) {
    uint64_t z = fnv1a("resize") + (i + 1) * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z = z ^ (z >> 31);
    return static_cast<int>((z >> 40) * 48 >> 24) - 24;
  }
  static int triangle(size_t v, size_t p) {
    return std::abs(static_cast<int>(v % (2 * p)) - static_cast<int>(p)) * 255 / static_cast<int>(p);
  }
  static uint8_t value(size_t x, size_t y, size_t c, size_t i) {
    const int wave =
        triangle(3 * x + 5 * y + 40 * c, 97 + 7 * c) + triangle(7 * x + 2 * y + 11 * c, 61 + 5 * c);
    return static_cast<uint8_t>(std::clamp(wave / 2 + noise(i), 0, 255));
  }

  size_t width_;
  size_t height_;
};

TEST(PillowResize, FormulaImagesAreBitExact) {
  for (const json::value& item : cases().at("resize").as_array()) {
    SCOPED_TRACE(json::serialize(item.at("input")) + " -> " + json::serialize(item.at("output")));
    const auto size = [&item](const char* key, size_t i) {
      return item.at(key).as_array()[i].to_number<size_t>();
    };
    const Image image = FormulaImage(size("input", 1), size("input", 0)).paint();
    ASSERT_EQ(sha256(image.pixels()), text(item.at("input_sha256")));
    const Image resized = resize_bicubic(image, size("output", 1), size("output", 0));
    EXPECT_EQ(sha256(resized.pixels()), text(item.at("output_sha256")));
  }
}

}  // namespace
}  // namespace mii
