// Batches of images on a device: two are under way at once.
#include "pipeline/encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda_on_host.h"
#include "mii/error.h"
#include "procedural_model.h"

namespace mii::pipeline {
namespace {

using testing::ElementsAre;

constexpr size_t kUnreadable = 4;

class EncodeOnDevice : public testing::Test {
 protected:
  // Whose batches are of two images, because once its memory did not hold more.
  EncodeOnDevice() {
    engine_.encode_images(pictures(2));
    faults_.memory_limit = static_cast<int64_t>(engine_.device()->memory_bytes);
    engine_.encode_images(pictures(4));
    faults_.memory_limit = int64_t{1} << 33;
  }

  Image picture(size_t i) const {
    std::vector<uint8_t> pixels(engine_.info().image_width * engine_.info().image_height * 3);
    for (size_t p = 0; p < pixels.size(); ++p)
      pixels[p] = static_cast<uint8_t>((p * 2654435761u + i * 40503u) >> 13);
    return Image::from_rgb(engine_.info().image_width, engine_.info().image_height, pixels);
  }
  std::vector<Image> pictures(size_t n) const {
    std::vector<Image> images;
    for (size_t i = 0; i < n; ++i) images.push_back(picture(i));
    return images;
  }
  ImageSequence sequence(size_t n) const {
    return {n, [](size_t i) { return std::to_string(i); },
            [this](size_t i) {
              if (i == kUnreadable) throw Error(ErrorCode::invalid_image, "unreadable");
              return picture(i);
            }};
  }

  cuda::HostDevice::Faults& faults_ = cuda_on_host();
  const ProceduralModel model_{"tiny-a"};
  const Engine engine_ = Engine::open(model_.folder(), {.precision = Precision::f32, .backend = "cuda"});
};

TEST_F(EncodeOnDevice, ABatchGoesUpWhileTheOneBeforeIsComputedAndAllComeInOrder) {
  const Matrix expected = engine_.encode_images(pictures(8));
  faults_.others_behind = 0;
  faults_.others_to_wait_for = 1;
  std::vector<std::vector<size_t>> batches;
  const auto failures = encode_images(
      engine_, sequence(8), {},
      [&](const std::vector<size_t>& indices, const Matrix& vectors, std::span<const Image> images) {
        batches.push_back(indices);
        ASSERT_EQ(images.size(), indices.size());
        for (size_t i = 0; i < indices.size(); ++i)
          EXPECT_TRUE(std::ranges::equal(vectors.row(i), expected.row(indices[i]))) << indices[i];
      });
  EXPECT_THAT(batches, ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(5, 6), ElementsAre(7)));
  EXPECT_GE(faults_.others_behind, 1);
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(failures[0].input, std::to_string(kUnreadable));
}

TEST_F(EncodeOnDevice, WhatTheSinkOrTheDeviceThrowsEndsIt) {
  const auto encode = [&](const VectorSink& sink) { return encode_images(engine_, sequence(8), {}, sink); };
  EXPECT_THROW(encode([](const auto&, const Matrix&, std::span<const Image>) { throw std::bad_alloc(); }),
               std::bad_alloc);
  const auto lose = [&](const auto&, const Matrix&, std::span<const Image>) { faults_.lost = 1; };
  try {
    encode(lose);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device_lost);
  }
}

}  // namespace
}  // namespace mii::pipeline
