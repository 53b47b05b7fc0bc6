#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "train/threads.h"

namespace mii {

using torch::Tensor;

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.98, kEpsilon = 1e-8;  // AdamW
constexpr double kMomentum = 0.95, kMuonRate = 40;

// [outputs, inputs], as a layer's rows multiply; projections are stored the other way round.
std::pair<double, double> outputs_and_inputs(const std::string& name, const Tensor& value) {
  const auto first = static_cast<double>(value.size(0));
  const double rest = static_cast<double>(value.numel()) / first;
  return name.ends_with("_projection") ? std::pair(rest, first) : std::pair(first, rest);
}

void learn_by_muon(const std::string& name, Tensor& value, const Tensor& gradient, Tensor& momentum,
                   double rate, double weight_decay) {
  momentum.mul_(kMomentum).add_(gradient, 1 - kMomentum);
  const Tensor ahead = torch::lerp(gradient, momentum, kMomentum);  // Nesterov's
  const auto [outputs, inputs] = outputs_and_inputs(name, value);
  value.mul_(1 - rate * weight_decay);
  value.add_(orthogonalised(ahead.reshape({value.size(0), -1})).reshape(value.sizes()),
             -rate * std::sqrt(std::max(1.0, outputs / inputs)));
}

void learn_by_adamw(Tensor& value, const Tensor& gradient, Tensor& first, Tensor& second, double step,
                    double rate, double weight_decay) {
  const double correct1 = 1 - std::pow(kBeta1, step), correct2 = 1 - std::pow(kBeta2, step);
  first.mul_(kBeta1).add_(gradient, 1 - kBeta1);
  second.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
  value.mul_(1 - rate * weight_decay);
  value.addcdiv_(first, (second / correct2).sqrt_().add_(kEpsilon), -rate / correct1);
}

}  // namespace

bool is_matrix(const std::string& name, const Tensor& value) {
  const bool depthwise = value.dim() == 4 && value.size(1) == 1;
  return value.dim() >= 2 && !depthwise && name.find("embedding") == std::string::npos &&
         name != kLabelVectors;
}

void add_moments(const std::string& name, MatrixRule rule, TrainState& state) {
  const Tensor& value = state.parameters.at(name);
  state.first_moment.emplace(name, torch::zeros_like(value));
  if (rule != MatrixRule::muon || !is_matrix(name, value))
    state.second_moment.emplace(name, torch::zeros_like(value));
}

Tensor orthogonalised(const Tensor& x) {
  const bool tall = x.size(0) > x.size(1);
  Tensor y = tall ? x.t().contiguous() : x;
  y = y / (y.norm() + 1e-12);
  for (int i = 0; i < 5; ++i) {
    const Tensor square = torch::matmul(y, y.t());
    y = 3.4445 * y + torch::matmul(torch::addmm(square, square, square, -4.7750, 2.0315), y);
  }
  return tall ? y.t() : y;
}

double update(TrainState& state, const OptimizerOptions& options, double rate, int threads) {
  const torch::NoGradGuard no_gradient;
  // Sorted by size and dealt in turn, so that the threads have alike to do.
  std::vector<std::string> names;
  for (const auto& [name, moment] : state.first_moment)
    if (state.parameters.at(name).grad().defined()) names.push_back(name);
  std::ranges::stable_sort(names, std::greater{},
                           [&](const std::string& name) { return state.parameters.at(name).numel(); });
  const auto for_each = [&](const auto& f) {
    on_threads(threads, [&](size_t t) {
      for (size_t i = t; i < names.size(); i += static_cast<size_t>(threads)) f(i, names[i]);
    });
  };
  std::vector<Tensor> squares(names.size());
  for_each([&](size_t i, const std::string& name) {
    squares[i] = state.parameters.at(name).grad().pow(2).sum().to(torch::kFloat64);
  });
  const double norm = squares.empty() ? 0 : torch::stack(squares).sum().sqrt().item<double>();
  const double clip = std::min(1.0, options.clip_norm / (norm + 1e-6));
  const auto step = static_cast<double>(state.step + 1);
  for_each([&](size_t, const std::string& name) {
    Tensor& value = state.parameters.at(name);
    Tensor gradient = value.grad();
    Tensor& first = state.first_moment.at(name);
    gradient.mul_(clip);
    const double decay = is_matrix(name, value) ? options.weight_decay : 0;
    if (const auto second = state.second_moment.find(name); second != state.second_moment.end())
      learn_by_adamw(value, gradient, first, second->second, step, rate, decay);
    else
      learn_by_muon(name, value, gradient, first, kMuonRate * rate, decay);
    if (name == "logit_scale") value.clamp_(0, kMaxLogitScale);
    gradient.zero_();
  });
  // Early averages follow quickly, so that the start is forgotten.
  const double decay = std::min(options.average_decay, (1 + step) / (10 + step));
  for_each([&](size_t, const std::string& name) {
    state.average.at(name).lerp_(state.parameters.at(name), 1 - decay);
  });
  return norm;
}

}  // namespace mii
