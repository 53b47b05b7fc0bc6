#include "train/head.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

using torch::Tensor;

constexpr int64_t kBatch = 32, kPatience = 10;
constexpr uint64_t kMaxBytes = 1ull << 36;

struct Problem {
  std::string loss;                  ///< "softmax", "sigmoid", "squared"
  Tensor vectors, targets, weights;  ///< f32 [n, D], [n, K], [n, K]
  Tensor learn, validate;            ///< i64, the numbers of rows
};

Tensor read_tensor(const Safetensors& file, const char* name, const char* dtype) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end() || found->second.dtype != dtype || found->second.shape.size() != 2)
    throw Error(ErrorCode::corrupt_weights, std::string("the problem has no matrix '") + name + "'");
  const auto& data = found->second.data;
  return torch::from_blob(const_cast<std::byte*>(data.data()), found->second.shape,
                          dtype == std::string("U8") ? torch::kUInt8 : torch::kFloat32)
      .clone();
}

Problem read_problem(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path, kMaxBytes);
  const Safetensors file = parse_safetensors(bytes, path.string());
  Problem problem{.vectors = read_tensor(file, "vectors", "F32"),
                  .targets = read_tensor(file, "targets", "F32"),
                  .weights = read_tensor(file, "weights", "F32")};
  const Tensor validates = read_tensor(file, "validate", "U8").flatten();
  if (const auto loss = file.metadata.find("loss"); loss != file.metadata.end()) problem.loss = loss->second;
  problem.learn = (validates == 0).nonzero().flatten();
  problem.validate = (validates != 0).nonzero().flatten();
  const int64_t n = problem.vectors.size(0);
  if (problem.targets.size(0) != n || problem.targets.sizes() != problem.weights.sizes() ||
      validates.size(0) != n || problem.learn.size(0) == 0 || problem.validate.size(0) == 0)
    throw Error(ErrorCode::corrupt_weights, "the problem's rows do not fit each other");
  return problem;
}

// The loss of each row.
Tensor losses_of(const std::string& loss, const Tensor& scores, const Tensor& targets,
                 const Tensor& weights) {
  namespace F = torch::nn::functional;
  if (loss == "softmax") return -(weights * targets * torch::log_softmax(scores, 1)).sum(1);
  if (loss == "squared") return (weights * (scores - targets).square()).sum(1);
  if (loss != "sigmoid") throw Error(ErrorCode::corrupt_weights, "unknown loss '" + loss + "'");
  return F::binary_cross_entropy_with_logits(
             scores, targets,
             F::BinaryCrossEntropyWithLogitsFuncOptions().weight(weights).reduction(torch::kNone))
      .sum(1);
}

class HeadRun {
 public:
  HeadRun(const HeadTraining& options, Problem problem) : options_(options), problem_(std::move(problem)) {
    if (problem_.loss == "squared") standardise();
    torch::manual_seed(options.seed);
    layers_ = head_layers(problem_.vectors.size(1), options.hidden, problem_.targets.size(1));
    optimizer_ = std::make_unique<torch::optim::AdamW>(
        layers_->parameters(),
        torch::optim::AdamWOptions(options.learning_rate).weight_decay(options.weight_decay));
  }

  bool run(const std::function<bool()>& stop) {
    int64_t since_best = 0;
    while (static_cast<int64_t>(losses_.size()) < options_.epochs && since_best < kPatience) {
      if (!epoch(stop)) return false;
      losses_.push_back(validation_loss());
      since_best = losses_.back() < best_ ? 0 : since_best + 1;
      if (since_best == 0) keep();
      show();
    }
    if (shown()) std::fputs("\r\033[K", stderr);
    take_back();
    write_head_layers(layers_, losses_, options_.out);
    return true;
  }

 private:
  // Values are learnt as distances from their mean, in units of their deviation.
  void standardise() {
    const Tensor known = problem_.targets.index_select(0, problem_.learn);
    mean_ = known.mean().item<double>();
    const double deviation = known.std(/*unbiased=*/false).item<double>();
    if (deviation > 0) scale_ = deviation;
    problem_.targets = (problem_.targets - mean_) / scale_;
  }

  bool epoch(const std::function<bool()>& stop) {
    const int64_t n = problem_.learn.size(0);
    const Tensor order = problem_.learn.index_select(0, torch::randperm(n));
    for (int64_t first = 0; first < n; first += kBatch) {
      const Tensor rows = order.slice(0, first, std::min(n, first + kBatch));
      const Tensor loss = loss_of(rows);
      optimizer_->zero_grad();
      loss.backward();
      optimizer_->step();
      if (stop()) return false;
    }
    return true;
  }

  // The mean over these rows.
  Tensor loss_of(const Tensor& rows) {
    const Tensor loss =
        losses_of(problem_.loss, layers_->forward(problem_.vectors.index_select(0, rows)),
                  problem_.targets.index_select(0, rows), problem_.weights.index_select(0, rows))
            .mean();
    if (!std::isfinite(loss.item<double>()))
      throw Error(ErrorCode::internal, "the loss is not finite: try a smaller --learning-rate");
    return loss;
  }

  double validation_loss() {
    const torch::NoGradGuard no_gradient;
    return loss_of(problem_.validate).item<double>() * scale_ * scale_;
  }

  void keep() {
    best_ = losses_.back();
    kept_.clear();
    for (const Tensor& value : layers_->parameters()) kept_.push_back(value.detach().clone());
  }

  // The layers as they were best, for values in their own unit.
  void take_back() {
    const torch::NoGradGuard no_gradient;
    const std::vector<Tensor> parameters = layers_->parameters();
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].copy_(kept_[i]);
    parameters[parameters.size() - 2].mul_(scale_);
    parameters[parameters.size() - 1].mul_(scale_).add_(mean_);
  }

  bool shown() const { return !options_.quiet && isatty(2) != 0; }

  void show() const {
    if (shown())
      std::fprintf(stderr, "\r\033[Kepoch %zu: loss %.4f, smallest %.4f", losses_.size(), losses_.back(),
                   best_);
  }

  const HeadTraining& options_;
  Problem problem_;
  double mean_ = 0, scale_ = 1;
  torch::nn::Sequential layers_{nullptr};
  std::unique_ptr<torch::optim::AdamW> optimizer_;
  std::vector<double> losses_;
  double best_ = std::numeric_limits<double>::infinity();
  std::vector<Tensor> kept_;
};

}  // namespace

torch::nn::Sequential head_layers(int64_t inputs, int64_t hidden, int64_t outputs) {
  using torch::nn::GELU, torch::nn::LayerNorm, torch::nn::LayerNormOptions, torch::nn::Linear;
  return torch::nn::Sequential(Linear(inputs, hidden), GELU(), Linear(hidden, hidden),
                               LayerNorm(LayerNormOptions({hidden})), Linear(hidden, hidden), GELU(),
                               Linear(hidden, hidden), Linear(hidden, outputs));
}

void write_head_layers(const torch::nn::Sequential& layers, std::vector<double> losses,
                       const std::filesystem::path& path) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<std::string> thens;  // what follows each linear layer
  for (const auto& module : layers->children()) {
    if (const auto* linear = module->as<torch::nn::LinearImpl>()) {
      tensors.emplace_back("layers." + std::to_string(thens.size()),
                           torch::cat({linear->weight, linear->bias.unsqueeze(1)}, 1));
      thens.emplace_back("none");
    } else if (const auto* norm = module->as<torch::nn::LayerNormImpl>()) {
      tensors.emplace_back(tensors.back().first + ".norm", torch::stack({norm->weight, norm->bias}));
      thens.back() = "norm";
    } else {
      thens.back() = "gelu";
    }
  }
  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& [name, value] : tensors) entries.push_back({name, DType::f32, value.sizes().vec()});
  entries.push_back({"losses", DType::f64, {static_cast<int64_t>(losses.size()), 1}});
  std::ostringstream steps;
  for (const std::string& then : thens) steps << then << ' ';
  SafetensorsWriter file(path, entries, {{"layers", steps.str()}});
  for (const auto& [name, value] : tensors) {
    const Tensor numbers = value.detach().contiguous();
    file.write(std::as_bytes(std::span(numbers.data_ptr<float>(), static_cast<size_t>(numbers.numel()))));
  }
  file.write(std::as_bytes(std::span(losses)));
  file.commit();
}

bool train_head(const HeadTraining& options, const std::function<bool()>& stop) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const bool trained = HeadRun(options, read_problem(options.problem)).run(stop);
  at::set_num_threads(threads);
  return trained;
}

}  // namespace mii
