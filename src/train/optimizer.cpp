#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "train/threads.h"

namespace mii {

using torch::Tensor;

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.98, kEpsilon = 1e-8;  // AdamW
constexpr double kMomentum = 0.95, kMuonRate = 40;

// Weights that learn by the same rule, updated together where launching an operation costs more than
// computing it.
struct Group {
  std::vector<Tensor> values, gradients, first, second, averages;  // second: by AdamW
  double decay = 0;
  double muon_rate = 0;  // by Muon: times the rate; all of the same shape
};

// In the orientation of a layer's rows; projections are stored transposed.
double outputs_per_input(const std::string& name, const Tensor& value) {
  const auto first = static_cast<double>(value.size(0));
  const double rest = static_cast<double>(value.numel()) / first;
  return name.ends_with("_projection") ? rest / first : first / rest;
}

// On a processor each weight is a group of its own and stays in the cache.
std::vector<Group> learning_groups(const TrainState& state, double weight_decay) {
  std::map<std::string, Group> groups;
  for (const auto& [name, first] : state.first_moment) {
    const Tensor& value = state.parameters.at(name);
    if (!value.grad().defined()) continue;
    Group like{.decay = is_matrix(name, value) ? weight_decay : 0};
    const auto second = state.second_moment.find(name);
    const bool by_muon = second == state.second_moment.end();
    if (by_muon) like.muon_rate = kMuonRate * std::sqrt(std::max(1.0, outputs_per_input(name, value)));
    std::ostringstream key;
    key << like.decay << ' ' << like.muon_rate;
    if (by_muon) key << ' ' << value.sizes();
    if (value.is_cpu()) key << ' ' << name;
    Group& group = groups.try_emplace(key.str(), std::move(like)).first->second;
    group.values.push_back(value);
    group.gradients.push_back(value.grad());
    group.first.push_back(first);
    if (!by_muon) group.second.push_back(second->second);
    group.averages.push_back(state.average.at(name));
  }
  std::vector<Group> list;
  for (auto& [key, group] : groups) list.push_back(std::move(group));
  return list;
}

void learn_by_muon(Group& group, double rate) {
  at::_foreach_mul_(group.first, kMomentum);
  at::_foreach_add_(group.first, group.gradients, 1 - kMomentum);
  const Tensor momentum = torch::stack(group.first);
  const Tensor ahead = torch::lerp(torch::stack(group.gradients), momentum, kMomentum);  // Nesterov's
  const Tensor turned = orthogonalised(ahead.reshape({ahead.size(0), ahead.size(1), -1}));
  at::_foreach_mul_(group.values, 1 - rate * kMuonRate * group.decay);
  at::_foreach_add_(group.values, turned.reshape(ahead.sizes()).contiguous().unbind(),
                    -rate * group.muon_rate);
}

void learn_by_adamw(Group& group, double step, double rate) {
  const double correct1 = 1 - std::pow(kBeta1, step), correct2 = 1 - std::pow(kBeta2, step);
  at::_foreach_mul_(group.first, kBeta1);
  at::_foreach_add_(group.first, group.gradients, 1 - kBeta1);
  at::_foreach_mul_(group.second, kBeta2);
  at::_foreach_addcmul_(group.second, group.gradients, group.gradients, 1 - kBeta2);
  at::_foreach_mul_(group.values, 1 - rate * group.decay);
  std::vector<Tensor> divisors = at::_foreach_div(group.second, correct2);
  at::_foreach_sqrt_(divisors);
  at::_foreach_add_(divisors, kEpsilon);
  at::_foreach_addcdiv_(group.values, group.first, divisors, -rate / correct1);
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
  const bool tall = x.size(1) > x.size(2);
  Tensor y = tall ? x.transpose(1, 2).contiguous() : x;
  y = y / (y.norm(2, {1, 2}, /*keepdim=*/true) + 1e-12);
  for (int i = 0; i < 5; ++i) {
    const Tensor square = torch::bmm(y, y.transpose(1, 2));
    y = torch::baddbmm(y, torch::baddbmm(square, square, square, -4.7750, 2.0315), y, 3.4445);
  }
  return tall ? y.transpose(1, 2) : y;
}

double update(TrainState& state, const OptimizerOptions& options, double rate, int threads) {
  const torch::NoGradGuard no_gradient;
  std::vector<Group> groups = learning_groups(state, options.weight_decay);
  // Sorted by size and dealt in turn, so that the threads have about the same work.
  std::ranges::stable_sort(groups, std::greater{}, [](const Group& g) { return g.values.front().numel(); });
  const auto for_each = [&](const auto& f) {
    on_threads(threads, [&](size_t t) {
      for (size_t i = t; i < groups.size(); i += static_cast<size_t>(threads)) f(i, groups[i]);
    });
  };
  std::vector<Tensor> squares(groups.size());
  for_each([&](size_t i, const Group& group) {
    squares[i] = torch::stack(at::_foreach_norm(group.gradients)).to(torch::kFloat64).square().sum();
  });
  const double norm = squares.empty() ? 0 : torch::stack(squares).sum().sqrt().item<double>();
  const double clip = std::min(1.0, options.clip_norm / (norm + 1e-6));
  const auto step = static_cast<double>(state.step + 1);
  // Early averages follow quickly, so that the initial weights are forgotten.
  const double decay = std::min(options.average_decay, (1 + step) / (10 + step));
  for_each([&](size_t, Group& group) {
    at::_foreach_mul_(group.gradients, clip);
    if (group.muon_rate > 0)
      learn_by_muon(group, rate);
    else
      learn_by_adamw(group, step, rate);
  });
  if (const auto scale = state.parameters.find("logit_scale"); scale != state.parameters.end())
    scale->second.clamp_(0, kMaxLogitScale);
  for_each([&](size_t, Group& group) {
    at::_foreach_mul_(group.averages, decay);
    at::_foreach_add_(group.averages, group.values, 1 - decay);
  });
  for (const auto& [name, moment] : state.first_moment) state.parameters.at(name).mutable_grad() = Tensor();
  return norm;
}

}  // namespace mii
