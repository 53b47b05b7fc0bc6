#include "eval/published_examples.h"

#include <algorithm>
#include <cmath>

#include "mii/error.h"

namespace mii {
namespace {

constexpr PublishedExample kExamples[]{
    {"ultrasound", "Ultrasound", 0.9822}, {"ct", "Computed Tomography", 0.9239}, {"x-ray", "X-Ray", 0.9992}};

// The post tells four digits.
constexpr double kTolerance = 1e-3;

}  // namespace

std::span<const PublishedExample> published_examples() { return kExamples; }

const PublishedExample& find_published_example(std::string_view name) {
  const auto* found = std::ranges::find(kExamples, name, &PublishedExample::name);
  if (found == std::end(kExamples))
    throw Error(ErrorCode::invalid_argument,
                "example '" + std::string(name) + "', expected ultrasound, ct or x-ray");
  return *found;
}

ExampleScores score_published_example(const Engine& engine, const PublishedExample& example,
                                      const Image& image) {
  ExampleScores scores{.labels = {"X-Ray", "Magnetic Resonance Imaging", "Computed Tomography", "Ultrasound",
                                  "Dermoscopy", "Clinical Photography", "Optical Coherence Tomography"}};
  const Matrix probabilities = engine.classify({&image, 1}, scores.labels);
  scores.probabilities.assign(probabilities.row(0).begin(), probabilities.row(0).end());
  const auto place = std::ranges::find(scores.labels, example.label) - scores.labels.begin();
  scores.difference = scores.probabilities[static_cast<size_t>(place)] - example.probability;
  scores.agrees = std::abs(scores.difference) <= kTolerance;
  return scores;
}

}  // namespace mii
