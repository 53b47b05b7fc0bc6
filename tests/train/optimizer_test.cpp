#include "train/optimizer.h"

#include <gmock/gmock.h>

#include <cmath>

namespace mii {
namespace {

using torch::Tensor;

TEST(Orthogonalised, HasSingularValuesNearOneAndTheVectorsOfItsArgument) {
  torch::manual_seed(3);
  for (const auto& [rows, columns] : {std::pair{24, 24}, {16, 64}, {64, 16}}) {
    const Tensor both = torch::randn({2, rows, columns});
    ASSERT_EQ(orthogonalised(both).sizes(), both.sizes());
    const Tensor x = both[1], y = orthogonalised(both)[1];
    // With x = U S V^T, U^T y V is diagonal: the result of Newton-Schulz on S.
    const auto [u, s, v] = torch::svd(x);
    const Tensor inside = torch::matmul(u.t(), torch::matmul(y, v));
    const Tensor values = inside.diagonal();
    EXPECT_LT((inside - torch::diag(values)).abs().max().item<double>(), 1e-3);
    EXPECT_LT(values.max().item<double>(), 1.25) << rows << " x " << columns;
    // Below a hundredth of the norm five steps do not suffice.
    const Tensor large = values.masked_select(s > 0.05 * s.norm());
    ASSERT_GT(large.numel(), 10);
    EXPECT_GT(large.min().item<double>(), 0.65) << rows << " x " << columns;
  }
}

TrainState state_with(MatrixRule rule) {
  torch::manual_seed(4);
  TrainState state;
  state.parameters = {{"a.weight", torch::randn({6, 3})},
                      {"a.bias", torch::randn({6})},
                      {"image_projection", torch::randn({3, 12})},
                      {"lang_encoder.token_embedding.weight", torch::randn({9, 4})},
                      {"a.fn.dw.weight", torch::randn({4, 1, 3, 3})},
                      {"convs.1.proj.weight", torch::randn({8, 2, 3, 3})}};
  for (auto& [name, value] : state.parameters) {
    add_moments(name, rule, state);
    state.average.emplace(name, value.clone());
    value.set_requires_grad(true);
  }
  return state;
}

void set_gradients(TrainState& state) {
  for (auto& [name, value] : state.parameters) value.mutable_grad() = torch::randn_like(value) * 0.01;
}

TEST(Update, ByAdamWIsThatOfLibTorch) {
  TrainState state = state_with(MatrixRule::adamw);
  std::vector<Tensor> decaying, others;
  std::map<std::string, Tensor> expected;
  for (const auto& [name, value] : state.parameters) {
    expected[name] = value.detach().clone().set_requires_grad(true);
    const bool decays = name == "a.weight" || name == "image_projection" || name == "convs.1.proj.weight";
    EXPECT_EQ(is_matrix(name, value), decays) << name;
    (decays ? decaying : others).push_back(expected[name]);
  }
  const auto options = [](double decay) {
    return torch::optim::AdamWOptions(0.01).betas({0.9, 0.98}).weight_decay(decay);
  };
  torch::optim::AdamW with(decaying, options(0.3)), without(others, options(0));
  for (int step = 0; step < 3; ++step) {
    set_gradients(state);
    for (auto& [name, value] : expected) value.mutable_grad() = state.parameters.at(name).grad().clone();
    with.step();
    without.step();
    update(state, {.weight_decay = 0.3}, 0.01, 2);
    ++state.step;
  }
  for (const auto& [name, value] : expected)
    EXPECT_LT((value - state.parameters.at(name)).abs().max().item<double>(), 1e-6) << name;
}

TEST(Update, ByMuonChangesMatricesAsMuchInAllDirections) {
  TrainState state = state_with(MatrixRule::muon);
  Parameters before;
  for (const auto& [name, value] : state.parameters) before.emplace(name, value.detach().clone());
  set_gradients(state);
  constexpr double kRate = 0.01;
  update(state, {.matrices = MatrixRule::muon, .weight_decay = 0}, kRate, 2);
  // outputs / inputs: 6 / 3 and, stored [inputs, outputs], 12 / 3; 8 to 18 makes no more than 1.
  for (const auto& [name, ratio] :
       std::map<std::string, double>{{"a.weight", 2}, {"image_projection", 4}, {"convs.1.proj.weight", 1}}) {
    EXPECT_EQ(state.second_moment.count(name), 0u) << name;
    const Tensor change = (state.parameters.at(name) - before.at(name)).detach();
    const Tensor values = std::get<1>(torch::svd(change.reshape({change.size(0), -1})));
    EXPECT_NEAR(values.mean().item<double>(), 40 * kRate * std::sqrt(ratio),
                0.3 * 40 * kRate * std::sqrt(ratio))
        << name;
  }
  for (const char* name : {"a.bias", "lang_encoder.token_embedding.weight", "a.fn.dw.weight"}) {
    const Tensor change = (state.parameters.at(name) - before.at(name)).detach().abs();
    EXPECT_NEAR(change.max().item<double>(), kRate, 1e-5) << name;  // Adam's first step
  }
}

TEST(Update, ClipsTheCommonNormAndClearsTheGradients) {
  TrainState state = state_with(MatrixRule::adamw);
  double sum = 0;
  for (auto& [name, value] : state.parameters) {
    value.mutable_grad() = torch::ones_like(value);
    sum += static_cast<double>(value.numel());
  }
  const double norm = update(state, {.clip_norm = 0.5}, 0.01, 1);
  EXPECT_NEAR(norm, std::sqrt(sum), 1e-4);
  for (const auto& [name, value] : state.parameters) {
    // A tenth of the clipped gradient.
    EXPECT_NEAR(state.first_moment.at(name).max().item<double>(), 0.1 * 0.5 / std::sqrt(sum), 1e-7) << name;
    EXPECT_FALSE(value.grad().defined()) << name;
  }
}

}  // namespace
}  // namespace mii
