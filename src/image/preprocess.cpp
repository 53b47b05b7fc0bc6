#include "image/preprocess.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "mii/error.h"

#include "image/error_box.h"
#include "image/resample.h"

namespace mii {
namespace {

using Pixels = std::unique_ptr<uint8_t[]>;

Pixels room_for(size_t width, size_t height) {
  return std::make_unique_for_overwrite<uint8_t[]>(width * height * 3);
}

RgbRows rows_of(const uint8_t* pixels, size_t width, size_t height) {
  return {pixels, 3 * width, width, height};
}

// Calls run(weights) for each block of the axis's outputs in turn.
template <class Run>
void for_each_block(size_t in_size, size_t out_size, const Run& run) {
  const size_t step = AxisWeights::block_outputs(in_size, out_size);
  for (size_t begin = 0; begin < out_size; begin += step) {
    run(AxisWeights(in_size, out_size, begin, std::min(begin + step, out_size)));
  }
}

Pixels resize_width(const RgbRows& in, size_t width) {
  Pixels out = room_for(width, in.height);
  // Small enough to share the rows out evenly, large enough to be worth scheduling.
  constexpr size_t kRowsPerTask = 16;
  const size_t tasks = (in.height + kRowsPerTask - 1) / kRowsPerTask;
  for_each_block(in.width, width, [&](const AxisWeights& weights) {
    ErrorBox errors;
#pragma omp parallel for schedule(dynamic)
    for (size_t task = 0; task < tasks; ++task) {
      const size_t last_row = std::min((task + 1) * kRowsPerTask, in.height);
      errors.run([&] { resample_rows(in, weights, task * kRowsPerTask, last_row, out.get(), 3 * width); });
    }
    errors.rethrow();
  });
  return out;
}

Pixels resize_height(const RgbRows& in, size_t height) {
  Pixels out = room_for(in.width, height);
  for_each_block(in.height, height, [&](const AxisWeights& weights) {
#pragma omp parallel for
    for (size_t y = weights.begin(); y < weights.end(); ++y) {
      resample_column_sums(in, weights, y, out.get() + y * 3 * in.width);
    }
  });
  return out;
}

void check_target(size_t width, size_t height) {
  if (width == 0 || height == 0 || width > SIZE_MAX / 3 / height) {
    throw Error(ErrorCode::invalid_argument, "cannot resize an image to " + std::to_string(width) + " x " +
                                                 std::to_string(height) + " pixels");
  }
}

}  // namespace

Image resize_bicubic(const Image& image, size_t width, size_t height) {
  check_target(width, height);
  const RgbRows in = rows_of(image.pixels().data(), image.width(), image.height());
  const auto resized = [&] {
    if (in.width == width && in.height == height) return Image::from_rgb(width, height, image.pixels());
    if (in.height == height) return Image::adopt_rgb(width, height, resize_width(in, width));
    if (in.width == width) return Image::adopt_rgb(width, height, resize_height(in, height));
    const Pixels narrowed = resize_width(in, width);
    return Image::adopt_rgb(width, height, resize_height(rows_of(narrowed.get(), width, in.height), height));
  };
  Image result = resized();
  result.set_provenance(image.shared_provenance());
  return result;
}

}  // namespace mii
