// The model that comes with the program, on the examples of the published model's announcement.

#include <gtest/gtest.h>

#include "mii/engine.h"
#include "real_images.h"

namespace mii {
namespace {

// The third, an ultrasound, it does not know: docs/models/starter.md.
TEST(Starter, NamesExamplesAsThePublishedModelDoes) {
  if (real_images().empty())
    GTEST_SKIP() << "the real images are not here; MII_SHARED_GOLDEN names their folder";
  const std::vector<std::string> labels{
      "X-Ray",      "Magnetic Resonance Imaging", "Computed Tomography",         "Ultrasound",
      "Dermoscopy", "Clinical Photography",       "Optical Coherence Tomography"};
  std::vector<Image> images;
  images.push_back(Image::read(real_images() / "real" / "x-ray.jpg"));
  images.push_back(Image::read(real_images() / "real" / "computed-tomography.jpg"));
  images.push_back(Image::read(real_images() / "real" / "ultrasound.jpg"));
  const Matrix scores = Engine::open(MII_STARTER, {.precision = Precision::f32}).classify(images, labels);
  EXPECT_GT(scores.row(0)[0], 0.9);
  EXPECT_GT(scores.row(1)[2], 0.9);
  EXPECT_GT(scores.row(2)[3], 0.9);
}

}  // namespace
}  // namespace mii
