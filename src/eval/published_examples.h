#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mii/engine.h"

namespace mii {

/// One of the three example images of the post that introduced the open model, scored against the post's
/// seven labels, and what the published weights were reported to say.
struct PublishedExample {
  std::string_view name;   ///< "ultrasound", "ct", "x-ray"
  std::string_view label;  ///< the most probable one
  double probability;      ///< of it
};

std::span<const PublishedExample> published_examples();
/// Throws Error{invalid_argument} for another name.
const PublishedExample& find_published_example(std::string_view name);

/// What a model says of such an image.
struct ExampleScores {
  std::vector<std::string> labels;   ///< the post's seven
  std::vector<float> probabilities;  ///< [7]
  double difference = 0;             ///< from the published probability
  bool agrees = false;               ///< to 1e-3
};

/// The image is trusted to be that of the post: its bytes are not known here.
ExampleScores score_published_example(const Engine& engine, const PublishedExample& example,
                                      const Image& image);

}  // namespace mii
