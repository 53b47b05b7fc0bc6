// Layers of a head: trained here, scored by src/heads without LibTorch.
#include "train/head.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "core/file.h"
#include "heads/mlp_file.h"
#include "mii/error.h"
#include "train/random.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using heads::MlpProblem;
using torch::Tensor;

constexpr double kUnit = 0x1p-24;  // of float32

// Vectors in four corners; what is asked for is not linear in them: whether two coordinates have one sign,
// both signs each alone, or the product of the two.
MlpProblem corners(MlpProblem::Loss loss) {
  constexpr size_t kRows = 400, kDim = 16;
  const size_t outputs = loss == MlpProblem::Loss::squared ? 1 : 2;
  MlpProblem problem{.loss = loss,
                     .vectors = Matrix(kRows, kDim),
                     .targets = Matrix(kRows, outputs),
                     .weights = Matrix(kRows, outputs),
                     .validate = std::vector<uint8_t>(kRows)};
  for (size_t i = 0; i < kRows; ++i) {
    Random random{5, i};
    for (float& v : problem.vectors.row(i)) v = 0.05f * random.normal();
    float& x = problem.vectors.row(i)[0];
    float& y = problem.vectors.row(i)[1];
    x += i % 2 == 0 ? 0.5f : -0.5f;
    y += i / 2 % 2 == 0 ? 0.5f : -0.5f;
    problem.validate[i] = i % 5 == 0;
    std::ranges::fill(problem.weights.row(i), 1.0f);
    const auto target = problem.targets.row(i);
    if (loss == MlpProblem::Loss::softmax) target[(x > 0) == (y > 0)] = 1;
    if (loss == MlpProblem::Loss::sigmoid) target[0] = (x > 0) == (y > 0), target[1] = x > 0;
    if (loss == MlpProblem::Loss::squared) target[0] = 60 + 100 * x * y;
  }
  return problem;
}

class HeadTrainer : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  HeadTraining options() const {
    return {.problem = folder_ / "problem", .out = folder_ / "layers", .hidden = 32, .quiet = true};
  }
  heads::TrainedMlp trained(const MlpProblem& problem, const HeadTraining& options) const {
    write_mlp_problem(problem, options.problem);
    EXPECT_TRUE(train_head(options, [] { return false; }));
    return heads::read_trained_mlp(options.out);
  }

  const fs::path folder_ = fs::temp_directory_path() / ("mii-train-head-" + std::to_string(getpid()));
};

heads::Rows64 scores_of(const heads::TrainedMlp& trained, const Matrix& vectors) {
  return heads::mlp_scores({.layers = trained.layers}, vectors);
}

double loss_of_row(MlpProblem::Loss loss, std::span<const double> s, std::span<const float> target) {
  if (loss == MlpProblem::Loss::squared) return std::pow(s[0] - target[0], 2);
  if (loss == MlpProblem::Loss::softmax)
    return std::log(std::exp(s[0]) + std::exp(s[1])) - (target[0] != 0 ? s[0] : s[1]);
  double sum = 0;
  for (size_t k = 0; k < 2; ++k) sum += std::log1p(std::exp(target[k] != 0 ? -s[k] : s[k]));
  return sum;
}

// The layers are those of the best epoch: scored without LibTorch, they have its loss.
TEST_F(HeadTrainer, LearnsWhatIsNotLinearAndKeepsTheBestEpoch) {
  for (const auto loss : {MlpProblem::Loss::softmax, MlpProblem::Loss::sigmoid, MlpProblem::Loss::squared}) {
    const MlpProblem problem = corners(loss);
    const heads::TrainedMlp layers = trained(problem, options());
    const heads::Rows64 scores = scores_of(layers, problem.vectors);
    double sum = 0, rows = 0;
    for (size_t i = 0; i < problem.vectors.rows(); ++i) {
      if (problem.validate[i] == 0) continue;
      sum += loss_of_row(loss, scores.row(i), problem.targets.row(i));
      ++rows;
    }
    const double best = *std::ranges::min_element(layers.losses);
    EXPECT_NEAR(sum / rows, best, 1e-5 + 1e-5 * best);
    const bool squared = loss == MlpProblem::Loss::squared;
    EXPECT_LT(best,
              squared ? 60 : 0.2);  // the values' variance is 650; one half is guessed at a loss of 0.69
  }
}

TEST_F(HeadTrainer, StopsWhenTenEpochsWereNoBetter) {
  MlpProblem noise = corners(MlpProblem::Loss::softmax);
  for (size_t i = 0; i < noise.targets.rows(); ++i) {
    Random random{9, i};
    const bool first = random.chance(0.5f);
    noise.targets.row(i)[0] = first;
    noise.targets.row(i)[1] = !first;
  }
  const std::vector<double> losses = trained(noise, options()).losses;
  ASSERT_LT(losses.size(), 100u);
  EXPECT_EQ(losses.end() - std::ranges::min_element(losses), 11);
}

TEST_F(HeadTrainer, RowsOfGreaterWeightCountMore) {
  MlpProblem problem = corners(MlpProblem::Loss::softmax);
  for (float& v : problem.vectors.values())
    v = 0.01f;  // all the same: the mean answer is all that can be learnt
  for (size_t i = 0; i < problem.weights.rows(); ++i)
    for (float& w : problem.weights.row(i)) w *= problem.targets.row(i)[0] != 0 ? 4.0f : 1.0f;
  const heads::Rows64 scores = scores_of(trained(problem, options()), problem.vectors);
  EXPECT_GT(scores.row(0)[0] - scores.row(0)[1], 0.5);  // ln 4 at the minimum
}

TEST_F(HeadTrainer, EqualCallsGiveEqualBytesAndAnotherSeedOthers) {
  const MlpProblem problem = corners(MlpProblem::Loss::softmax);
  HeadTraining run = options();
  run.epochs = 2;
  trained(problem, run);
  const auto first = read_file(run.out, 1 << 20);
  trained(problem, run);
  EXPECT_EQ(read_file(run.out, 1 << 20), first);
  run.seed = 2;
  trained(problem, run);
  EXPECT_NE(read_file(run.out, 1 << 20), first);
}

TEST_F(HeadTrainer, AStopLeavesNothing) {
  write_mlp_problem(corners(MlpProblem::Loss::softmax), options().problem);
  EXPECT_FALSE(train_head(options(), [] { return true; }));
  EXPECT_FALSE(fs::exists(options().out));
}

TEST_F(HeadTrainer, RefusesAProblemThatIsDamagedAndALossThatIsNotFinite) {
  MlpProblem problem = corners(MlpProblem::Loss::softmax);
  problem.targets = Matrix(3, 2);
  EXPECT_THROW(trained(problem, options()), Error);
  problem = corners(MlpProblem::Loss::softmax);
  std::ranges::fill(problem.validate, uint8_t{0});
  EXPECT_THROW(trained(problem, options()), Error);
  problem = corners(MlpProblem::Loss::softmax);
  problem.vectors.row(1)[0] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(trained(problem, options()), Error);
  std::ofstream(options().problem) << "nothing";
  EXPECT_THROW(train_head(options(), [] { return false; }), Error);
}

// How far a float32 computation of the layers is likely to be from the exact one, as a variance of each
// value. A sum of n products is rounded n times, each time by at most u times what it is by then, with signs
// that are not related (Higham and Mary 2019): a variance of n u^2 times the sum of the products' squares.
// GELU passes on at most 1.13 times what its value is off, a norm what it divides by the deviation; both are
// off by some units themselves.
class Rounding {
 public:
  explicit Rounding(std::span<const float> vector)
      : x_(vector.begin(), vector.end()), variance_(vector.size()) {}

  void pass(const heads::MlpLayer& layer) {
    const size_t in = x_.size();
    std::vector<double> x, variance;
    for (size_t k = 0; k < layer.weights.rows(); ++k) {
      const auto w = layer.weights.row(k);
      double sum = w[in], squares = w[in] * w[in], passed = 0;
      for (size_t i = 0; i < in; ++i) {
        sum += w[i] * x_[i];
        squares += w[i] * w[i] * x_[i] * x_[i];
        passed += w[i] * w[i] * variance_[i];
      }
      x.push_back(sum);
      variance.push_back(passed + static_cast<double>(in + 1) * kUnit * kUnit * squares);
    }
    x_ = std::move(x);
    variance_ = std::move(variance);
    if (layer.then == heads::Then::gelu) gelu();
    if (layer.then == heads::Then::layer_norm) norm(layer.norm);
  }

  double deviation(size_t k) const { return std::sqrt(variance_[k]); }

 private:
  static double units(double n, double x) { return std::pow(n * kUnit * x, 2); }

  void gelu() {
    for (size_t i = 0; i < x_.size(); ++i) {
      x_[i] *= (1 + std::erf(x_[i] / std::sqrt(2.0))) / 2;
      variance_[i] = 1.13 * 1.13 * variance_[i] + units(4, x_[i]);
    }
  }

  void norm(const heads::Rows64& norm) {
    const auto n = static_cast<double>(x_.size());
    double mean = 0, squares = 0;
    for (const double v : x_) mean += v / n;
    for (const double v : x_) squares += (v - mean) * (v - mean) / n;
    for (size_t i = 0; i < x_.size(); ++i) {
      const double normed = (x_[i] - mean) / std::sqrt(squares + 1e-5), gain = norm.row(0)[i];
      variance_[i] = gain * gain * (variance_[i] / (squares + 1e-5) + units(8, normed));
      x_[i] = normed * gain + norm.row(1)[i];
      variance_[i] += units(2, x_[i]);
    }
  }

  std::vector<double> x_, variance_;
};

// The layers of a head as their authors have them: 1024 values, 512 between the layers.
TEST_F(HeadTrainer, ScoresWithoutLibTorchAreItsLogits) {
  torch::manual_seed(3);
  torch::nn::Sequential layers = head_layers(1024, 512, 5);
  {
    const torch::NoGradGuard no_gradient;  // a norm that does something
    for (const auto& module : layers->children())
      if (auto* norm = module->as<torch::nn::LayerNormImpl>(); norm != nullptr) {
        norm->weight.uniform_(0.5, 2);
        norm->bias.normal_();
      }
  }
  write_head_layers(layers, {1.0}, options().out);
  const heads::TrainedMlp read = heads::read_trained_mlp(options().out);
  const Tensor vectors = torch::nn::functional::normalize(torch::randn({40, 1024}));
  Matrix same(40, 1024);
  std::copy_n(vectors.data_ptr<float>(), vectors.numel(), same.values().data());
  const Tensor logits = layers->forward(vectors).detach();
  const heads::Rows64 scores = scores_of(read, same);
  double worst = 0, bound = 0;
  for (size_t i = 0; i < 40; ++i) {
    Rounding rounding(same.row(i));
    for (const heads::MlpLayer& layer : read.layers) rounding.pass(layer);
    for (size_t k = 0; k < 5; ++k) {
      const double logit = logits[static_cast<int64_t>(i)][static_cast<int64_t>(k)].item<double>();
      const double difference = std::abs(scores.row(i)[k] - logit);
      EXPECT_LE(difference, 6 * rounding.deviation(k)) << i << ", " << k;
      worst = std::max(worst, difference);
      bound = std::max(bound, 6 * rounding.deviation(k));
    }
  }
  std::printf("worst difference %.2g, of at most %.2g\n", worst, bound);
  EXPECT_LT(bound, 1e-5);
}

}  // namespace
}  // namespace mii
