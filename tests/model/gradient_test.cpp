// The backward pass of the image tower's last stage, against differences of scores.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "backend/precision.h"
#include "model/davit_gradient.h"
#include "tested_backends.h"
#include "tower_variants.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

constexpr size_t kDirections = 3;
constexpr float kStep = 0.02f;

Matrix noise(size_t rows, size_t cols, std::mt19937& random) {
  std::normal_distribution<float> normal;
  Matrix values(rows, cols);
  for (float& v : values.values()) v = normal(random);
  return values;
}

double dot(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// A tower on a backend, and what enters its last stage.
class Tower {
 public:
  Tower(const TowerVariant& variant, const BackendEntry& backend)
      : model_(variant.model, variant.edits),
        files_(ModelFolder::find(model_.folder())),
        config_(ModelConfig::read(files_.config)),
        checkpoint_(Checkpoint::open(files_.weights, config_,
                                     ClipTokenizer::load(files_.tokenizer).vocabulary_size())),
        backend_(backend.make({.precision = Precision::f32, .threads = 2})) {
    backend_->attach_thread();
    tower_.emplace(config_.image, weights(), *backend_);
  }

  Matrix random_entering(std::mt19937& random) const {
    return noise(static_cast<size_t>(tower_->entering_grid().tokens()),
                 static_cast<size_t>(config_.image.stages.rbegin()[1].dim), random);
  }
  /// Of length 1.
  Matrix random_directions(std::mt19937& random) const {
    Matrix directions = noise(kDirections, static_cast<size_t>(config_.embedding_dim), random);
    for (size_t k = 0; k < kDirections; ++k) {
      const double length = std::sqrt(dot(directions.row(k), directions.row(k)));
      for (float& v : directions.row(k)) v /= static_cast<float>(length);
    }
    return directions;
  }

  DavitGradient::Result gradients(const Matrix& entering, const Matrix& directions) {
    return DavitGradient(*tower_, weights(), *backend_).gradients(entering, directions);
  }

  /// What patches are cut from, and the scores, where entering + step * move enters.
  std::pair<Matrix, std::vector<double>> moved(const Matrix& entering, const Matrix& move, float step,
                                               const Matrix& directions) {
    Matrix values = entering.clone();
    for (size_t i = 0; i < values.values().size(); ++i) values.values()[i] += step * move.values()[i];
    Buffer buffer(*backend_), normed(*backend_);
    const Rows rows = buffer.take(static_cast<int64_t>(values.rows()), static_cast<int64_t>(values.cols()));
    backend_->upload(values.values(), rows);
    std::vector<float> vector(directions.cols());
    backend_->download(tower_->embed(tower_->last_stage(rows)), vector);
    std::vector<double> scores;
    for (size_t k = 0; k < directions.rows(); ++k) scores.push_back(dot(vector, directions.row(k)));
    if (config_.image.stages.back().patch_prenorm) {
      const std::string norm =
          "image_encoder.convs." + std::to_string(config_.image.stages.size() - 1) + ".norm";
      const Rows to = normed.take(rows.rows, rows.cols);
      backend_->layer_norm(rows, weights().layer_norm(norm, Davit::kEpsilon), to);
      backend_->download(to, values.values());
    }
    return {std::move(values), std::move(scores)};
  }

 private:
  WeightReader weights() const { return WeightReader(checkpoint_, *backend_); }

  ProceduralModel model_;
  ModelFolder files_;
  ModelConfig config_;
  Checkpoint checkpoint_;
  std::unique_ptr<Backend> backend_;
  std::optional<Davit> tower_;
};

using Case = std::tuple<TowerVariant, std::string>;
class LastStageGradient : public testing::TestWithParam<Case> {};

TEST_P(LastStageGradient, SaysHowScoresChangeWithWhatEnters) {
  const auto& [variant, name] = GetParam();
  const BackendEntry backend = tested_backend(name);
  if (!backend.available()) GTEST_SKIP() << name << " cannot run here: " << backend.obstacle();
  Tower tower(variant, backend);
  std::mt19937 random(7);
  const Matrix entering = tower.random_entering(random), directions = tower.random_directions(random);
  const auto [inputs, gradients] = tower.gradients(entering, directions);
  ASSERT_EQ(gradients.rows(), kDirections * entering.rows());
  ASSERT_EQ(gradients.cols(), entering.cols());
  const size_t each = entering.values().size();
  const Matrix nowhere(entering.rows(), entering.cols());
  EXPECT_TRUE(
      std::ranges::equal(inputs.values(), tower.moved(entering, nowhere, 0, directions).first.values()));

  for (int trial = 0; trial < 2; ++trial) {
    const Matrix move = noise(entering.rows(), entering.cols(), random);
    // By how much the scores change over a step each way, and by how much their gradients say so.
    const auto slopes = [&](float step) {
      const auto [inputs_ahead, ahead] = tower.moved(entering, move, step, directions);
      const auto [inputs_behind, behind] = tower.moved(entering, move, -step, directions);
      Matrix change = inputs_ahead.clone();
      std::ranges::transform(change.values(), inputs_behind.values(), change.values().begin(), std::minus{});
      std::vector<std::pair<double, double>> found;
      for (size_t k = 0; k < kDirections; ++k)
        found.emplace_back((ahead[k] - behind[k]) / (2 * step),
                           dot(gradients.values().subspan(k * each, each), change.values()) / (2 * step));
      return found;
    };
    const auto narrow = slopes(kStep), wide = slopes(2 * kStep);
    for (size_t k = 0; k < kDirections; ++k) {
      const auto [narrow_change, narrow_said] = narrow[k];
      const auto [wide_change, wide_said] = wide[k];
      // Without what grows with the step's square. What is left of that is less than what was taken off; and
      // scores of directions of length 1 are as wrong as f32's values may be.
      const double expected = (4 * narrow_change - wide_change) / 3, said = (4 * narrow_said - wide_said) / 3;
      const double tolerance = std::abs(expected - narrow_change) + std::abs(said - narrow_said) +
                               5.0 / 3 * info_of(Precision::f32).difference / static_cast<double>(kStep);
      EXPECT_NEAR(said, expected, tolerance) << k;
      // Else a wrong part of the gradient would not show.
      const std::span<const float> gradient = gradients.values().subspan(k * each, each);
      EXPECT_LE(tolerance, 0.03 * std::sqrt(dot(gradient, gradient)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Towers, LastStageGradient,
                         testing::Combine(testing::ValuesIn(tower_variants()),
                                          testing::ValuesIn(names_of_tested_backends())),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param);
                         });

}  // namespace
}  // namespace mii
