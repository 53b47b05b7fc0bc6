#include "image/alter.h"

#include <algorithm>

#include "image/encode_jpeg.h"
#include "image/preprocess.h"

namespace mii {
namespace {

template <typename Change>
Image changed(const Image& image, const Change& change) {
  std::vector<uint8_t> pixels(image.pixels().begin(), image.pixels().end());
  for (size_t i = 0; i < pixels.size(); i += 3) change(pixels.data() + i);
  return Image::from_rgb(image.width(), image.height(), pixels);
}

Image framed(const Image& image) {
  const size_t x = image.width() / 5, y = image.height() / 5;
  const size_t width = image.width() + 2 * x, height = image.height() + 2 * y;
  std::vector<uint8_t> pixels(width * height * 3);
  for (size_t row = 0; row < image.height(); ++row)
    std::copy_n(image.pixels().data() + row * image.width() * 3, image.width() * 3,
                pixels.data() + ((row + y) * width + x) * 3);
  return Image::from_rgb(width, height, pixels);
}

}  // namespace

const std::vector<Alteration>& all_alterations() {
  static const std::vector<Alteration> kAll{Alteration::grey, Alteration::inverted, Alteration::border,
                                            Alteration::jpeg, Alteration::small,    Alteration::large};
  return kAll;
}

std::string to_string(Alteration alteration) {
  switch (alteration) {
    case Alteration::grey:
      return "grey";
    case Alteration::inverted:
      return "inverted";
    case Alteration::border:
      return "black border";
    case Alteration::jpeg:
      return "JPEG quality 30";
    case Alteration::small:
      return "64 px";
    case Alteration::large:
      return "1000 px";
  }
  return "";
}

bool applies(Alteration alteration, const Image& image) {
  if (alteration != Alteration::inverted) return true;
  const auto p = image.pixels();
  for (size_t i = 0; i < p.size(); i += 3)
    if (p[i] != p[i + 1] || p[i] != p[i + 2]) return false;
  return true;
}

Image altered(const Image& image, Alteration alteration) {
  switch (alteration) {
    case Alteration::grey:
      return changed(image, [](uint8_t* p) {
        p[0] = p[1] = p[2] = static_cast<uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
      });
    case Alteration::inverted:
      return changed(image, [](uint8_t* p) {
        for (int c = 0; c < 3; ++c) p[c] = static_cast<uint8_t>(255 - p[c]);
      });
    case Alteration::border:
      return framed(image);
    case Alteration::jpeg:
      return Image::decode(encode_jpeg(image, 30));
    case Alteration::small:
      return resize_bicubic(image, 64, 64);
    case Alteration::large: {
      const size_t longest = std::max(image.width(), image.height());
      return resize_bicubic(image, std::max<size_t>(1, image.width() * 1000 / longest),
                            std::max<size_t>(1, image.height() * 1000 / longest));
    }
  }
  return resize_bicubic(image, image.width(), image.height());
}

}  // namespace mii
