#include "train/unicl.h"

#include <gmock/gmock.h>

#include <cmath>

namespace mii {
namespace {

using torch::Tensor;

TEST(UniclLoss, IsTheCrossEntropyWithAllTruePairsAsTargets) {
  const Tensor logits = torch::tensor({{2.0f, 1.0f, 0.0f}, {0.0f, 3.0f, 1.0f}});
  // Text 0 is true of image 0; text 1 of both; text 2 of none: a distractor.
  const Tensor truth = torch::tensor({{1, 1, 0}, {0, 1, 0}}, torch::kUInt8);
  const auto log_sum = [](std::initializer_list<double> v) {
    double sum = 0;
    for (const double x : v) sum += std::exp(x);
    return std::log(sum);
  };
  const double images = ((log_sum({2, 1, 0}) - (2 + 1) / 2.0) + (log_sum({0, 3, 1}) - 3)) / 2;
  const double texts = ((log_sum({2, 0}) - 2) + (log_sum({1, 3}) - (1 + 3) / 2.0)) / 2;
  EXPECT_NEAR(unicl_loss(logits, truth).item<double>(), (images + texts) / 2, 1e-6);
}

TEST(Contrast, RowsWithoutATruePairTakeNoPart) {
  const Tensor truth = torch::tensor({{1, 0}, {0, 2}}, torch::kUInt8);
  const double loss = contrast(torch::tensor({{1.0f, 3.0f}, {9.0f, 4.0f}}), truth, 1).item<double>();
  EXPECT_NEAR(loss, std::log(std::exp(1.0) + std::exp(3.0)) - 1, 1e-6);
}

TEST(UniclLoss, PairsThatNobodyKnowsTakeNoPart) {
  const Tensor truth = torch::tensor({{1, 2}, {0, 1}}, torch::kUInt8);
  const double a = unicl_loss(torch::tensor({{1.0f, -5.0f}, {0.0f, 1.0f}}), truth).item<double>();
  const double b = unicl_loss(torch::tensor({{1.0f, 50.0f}, {0.0f, 1.0f}}), truth).item<double>();
  EXPECT_NEAR(a, b, 1e-6);
}

TEST(FieldsContrast, IsTheMeanOverTheFieldsOfTheContrastAmongTheirColumns) {
  const Tensor logits = torch::tensor({{1.0f, 3.0f, 2.0f, -1.0f}});
  const Tensor truth = torch::tensor({{0, 1, 1, 0}}, torch::kUInt8);
  const double first = std::log(1 + std::exp(-3.0));   // columns 2 and 3
  const double second = std::log(1 + std::exp(-2.0));  // columns 0 and 1
  EXPECT_NEAR(fields_contrast(logits, truth, {{3, 2}, {}, {0, 1}}).item<double>(), (first + second) / 3,
              1e-6);
}

}  // namespace
}  // namespace mii
