#include "train/report.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "core/file.h"
#include "dataset/report_problem.h"
#include "mii/error.h"
#include "train/optimizer.h"
#include "train/random.h"
#include "train/report_layers.h"
#include "train/state.h"
#include "train/threads.h"
#include "weights/checkpoint.h"
#include "weights/report_model.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

using Clock = std::chrono::steady_clock;
using torch::Tensor;

constexpr int64_t kValidationBatch = 32;
constexpr uint64_t kOrderKey = 1, kDropoutKey = 2;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

torch::Device choose_device(const std::string& name) {
  if (name == "cpu" || (name == "auto" && !torch::cuda::is_available())) return torch::kCPU;
  if (!torch::cuda::is_available())
    throw Error(ErrorCode::invalid_argument,
                "device '" + name + "' asked for, but this LibTorch sees no CUDA device");
  return torch::kCUDA;
}

// The tensors of the text tower, whichever of them there are.
Parameters text_tower_of(const std::filesystem::path& weights) {
  const MappedFile mapped = MappedFile::open(weights);
  const Safetensors file = parse_safetensors(mapped.bytes(), weights.string());
  Parameters tensors;
  for (const auto& [name, stored] : file.tensors)
    if (const std::string published = published_name(name); published.starts_with("lang_encoder."))
      tensors.emplace(published, tensor_of(stored.view(name, weights.string())));
  return tensors;
}

class ReportRun {
 public:
  ReportRun(const ReportTraining& options, const ReportProblemView& file)
      : options_(options),
        file_(file),
        problem_(file.problem()),
        device_(choose_device(options.device)),
        optimizer_{.weight_decay = options.weight_decay,
                   .clip_norm = options.clip_norm,
                   .average_decay = options.average_decay} {
    for (size_t t = 0; t < problem_.texts.size(); ++t)
      (problem_.texts[t].use == ReportText::Use::validate ? validation_ : training_).push_back(t);
    if (training_.empty()) throw Error(ErrorCode::invalid_argument, "there is no text to learn from");
    batch_ = std::min(options.batch, static_cast<int64_t>(training_.size()));
    steps_per_epoch_ = static_cast<int64_t>(training_.size()) / batch_;
    last_step_ = steps_per_epoch_ * options.epochs;
    begin();
    if (device_.is_cpu())
      threads_ =
          options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
    for (int t = 0; t < threads_; ++t) {
      leaves_.emplace_back();
      for (const auto& [name, value] : state_.parameters)
        leaves_.back().emplace(name, value.detach().set_requires_grad(true));
    }
  }

  bool run(const std::function<bool()>& stop) {
    std::filesystem::create_directories(options_.out);
    cut_logs();
    print_start();
    auto saved = Clock::now();
    while (state_.step < last_step_) {
      step();
      if (state_.step % steps_per_epoch_ == 0) validate();
      const bool stopped = stop();
      if (stopped || state_.step == last_step_ || seconds_since(saved) > options_.save_every_s) {
        write_state(state_, options_.out / "checkpoint", fingerprint());
        saved = Clock::now();
      }
      if (stopped && state_.step < last_step_) return false;
    }
    return true;
  }

 private:
  void begin() {
    torch::manual_seed(options_.seed);
    state_.parameters = initial_report_parameters(problem_.config);
    if (options_.text_tower) begin_with_text_tower(text_tower_of(*options_.text_tower), state_.parameters);
    state_.best = -std::numeric_limits<double>::infinity();
    for (const auto& [name, value] : state_.parameters) {
      state_.average.emplace(name, value.clone());
      add_moments(name, MatrixRule::adamw, state_);
    }
    const auto checkpoint = options_.out / "checkpoint";
    if (options_.resume)
      state_ = read_state(checkpoint, fingerprint(), state_);
    else if (std::filesystem::exists(checkpoint))
      throw Error(ErrorCode::invalid_argument, options_.out.string() +
                                                   " holds a checkpoint: resume with "
                                                   "--resume, or choose another folder");
    for (Parameters* tensors :
         {&state_.parameters, &state_.average, &state_.first_moment, &state_.second_moment})
      for (auto& [name, value] : *tensors) value = value.to(device_);
    for (auto& [name, value] : state_.parameters) value.set_requires_grad(true);
  }

  // What a run must share with the one that it resumes.
  std::string fingerprint() const {
    std::ostringstream text;
    text << "report decoder, batch " << options_.batch << ", epochs " << options_.epochs << ", learning rate "
         << options_.learning_rate << ", weight decay " << options_.weight_decay << ", warm-up "
         << options_.warm_up << ", clip norm " << options_.clip_norm << ", average " << options_.average_decay
         << ", label smoothing " << options_.label_smoothing << ", dropout " << options_.dropout << ", seed "
         << options_.seed << ", texts " << training_.size() << " and " << validation_.size()
         << ", begun with a text tower " << options_.text_tower.has_value();
    return text.str();
  }

  double learning_rate() const {
    const double warm = std::max(1.0, options_.warm_up * static_cast<double>(last_step_));
    const double at = static_cast<double>(state_.step);
    if (at < warm) return options_.learning_rate * (at + 1) / warm;
    const double progress = (at - warm) / std::max(1.0, static_cast<double>(last_step_) - warm);
    return options_.learning_rate * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * progress)));
  }

  // Texts side by side.
  struct Batch {
    Tensor tokens;   // [B, N, image_dim]
    Tensor ids;      // [B, T], what is read
    Tensor next;     // [B, T], what is to be said
    Tensor learned;  // bool [B, T]: the report's places
  };
  Batch batch_of(std::span<const size_t> texts) const {
    int64_t longest = 0;
    for (const size_t t : texts)
      longest = std::max(longest, static_cast<int64_t>(problem_.texts[t].ids.size()) - 1);
    const auto n = static_cast<int64_t>(texts.size());
    const int64_t values = problem_.image_tokens * problem_.config.image_dim;
    Batch batch{torch::empty({n, problem_.image_tokens, problem_.config.image_dim}),
                torch::zeros({n, longest}, torch::kInt64), torch::zeros({n, longest}, torch::kInt64),
                torch::zeros({n, longest}, torch::kBool)};
    for (int64_t row = 0; row < n; ++row) {
      const ReportText& text = problem_.texts[texts[static_cast<size_t>(row)]];
      file_.read_tokens(text.image,
                        {batch.tokens.data_ptr<float>() + row * values, static_cast<size_t>(values)});
      const int64_t place = row * longest;
      for (size_t i = 0; i + 1 < text.ids.size(); ++i) {
        const auto at = place + static_cast<int64_t>(i);
        batch.ids.data_ptr<int64_t>()[at] = text.ids[i];
        batch.next.data_ptr<int64_t>()[at] = text.ids[i + 1];
        batch.learned.data_ptr<bool>()[at] = static_cast<int64_t>(i) + 1 >= text.report;
      }
    }
    return {batch.tokens.to(device_), batch.ids.to(device_), batch.next.to(device_),
            batch.learned.to(device_)};
  }

  int64_t tokens_of(std::span<const size_t> texts) const {
    int64_t tokens = 0;
    for (const size_t t : texts)
      tokens += static_cast<int64_t>(problem_.texts[t].ids.size()) - problem_.texts[t].report;
    return tokens;
  }

  // Summed over the tokens of the reports.
  Tensor loss_of(const Batch& batch, const Parameters& parameters, double smoothing,
                 const ReportLayers::Dropout& dropout) const {
    const ReportLayers layers(problem_.config, parameters);
    const Tensor states = layers.states(batch.tokens, batch.ids, dropout).index({batch.learned});
    const Tensor log_probabilities = torch::log_softmax(layers.logits(states).to(torch::kFloat32), -1);
    const Tensor next = batch.next.index({batch.learned}).unsqueeze(1);
    const Tensor right = -log_probabilities.gather(1, next).sum();
    return smoothing > 0 ? (1 - smoothing) * right - smoothing * log_probabilities.mean(1).sum() : right;
  }

  // The texts of a step: each comes once in an epoch, in an order of its own.
  std::vector<size_t> texts_of_step() const {
    const int64_t epoch = state_.step / steps_per_epoch_, place = state_.step % steps_per_epoch_;
    std::vector<size_t> order = training_;
    Random random{options_.seed, kOrderKey, static_cast<uint64_t>(epoch)};
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
    const auto first = order.begin() + place * batch_;
    return {first, first + batch_};
  }

  void step() {
    std::vector<size_t> texts = texts_of_step();
    // Texts of one length side by side: little padding.
    std::ranges::stable_sort(texts, {}, [&](size_t t) { return problem_.texts[t].ids.size(); });
    const double tokens = static_cast<double>(tokens_of(texts));
    const auto slices = std::min<size_t>(static_cast<size_t>(threads_), texts.size());
    std::vector<double> losses(slices);
    Random random{options_.seed, kDropoutKey, static_cast<uint64_t>(state_.step)};
    if (!device_.is_cpu()) torch::manual_seed(random.bits());
    std::vector<at::Generator> generators;
    for (size_t t = 0; t < slices; ++t) generators.push_back(at::detail::createCPUGenerator(random.bits()));
    on_threads(static_cast<int>(slices), [&](size_t t) {
      const size_t begin = texts.size() * t / slices, end = texts.size() * (t + 1) / slices;
      const Batch batch = batch_of(std::span(texts).subspan(begin, end - begin));
      const MixedPrecision mixed(device_);
      const Tensor loss =
          loss_of(batch, leaves_[t], options_.label_smoothing, {options_.dropout, generators[t]}) / tokens;
      loss.backward();
      losses[t] = loss.item<double>();
    });
    const double loss = std::accumulate(losses.begin(), losses.end(), 0.0);
    if (!std::isfinite(loss))
      throw Error(ErrorCode::internal, "the loss is not finite at step " + std::to_string(state_.step) +
                                           ": try a smaller --learning-rate");
    add_gradients();
    const double rate = learning_rate();
    const double norm = update(state_, optimizer_, rate, threads_);
    ++state_.step;
    log("train.tsv") << state_.step << '\t' << state_.step / steps_per_epoch_ << '\t' << loss << '\t' << rate
                     << '\t' << norm << '\n';
    if (!options_.quiet && isatty(2) != 0)
      std::fprintf(stderr, "\r\033[Kstep %ld of %ld  loss %.4f", static_cast<long>(state_.step),
                   static_cast<long>(last_step_), loss);
  }

  // In the order of the threads, so that equal runs have equal sums.
  void add_gradients() {
    for (auto& [name, value] : state_.parameters) {
      for (Parameters& leaves : leaves_) {
        Tensor& gradient = leaves.at(name).mutable_grad();
        if (!gradient.defined()) continue;
        Tensor& sum = value.mutable_grad();
        sum = sum.defined() ? sum.add_(gradient) : gradient;
        gradient = Tensor();
      }
    }
  }

  // Of a token of the validation texts, by the moving average.
  double validation_loss() const {
    const torch::NoGradGuard no_gradient;
    const auto batches = (validation_.size() + kValidationBatch - 1) / kValidationBatch;
    std::vector<double> losses(batches);
    on_threads(threads_, [&](size_t t) {
      for (size_t b = t; b < batches; b += static_cast<size_t>(threads_)) {
        const size_t first = b * kValidationBatch;
        const auto texts =
            std::span(validation_)
                .subspan(first, std::min<size_t>(kValidationBatch, validation_.size() - first));
        losses[b] = loss_of(batch_of(texts), state_.average, 0, {}).item<double>();
      }
    });
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(tokens_of(validation_));
  }

  void validate() {
    const int64_t epoch = state_.step / steps_per_epoch_;
    write_model("last");
    if (validation_.empty()) return write_model("best");
    const double loss = validation_loss();
    log("validation.tsv") << state_.step << '\t' << epoch << '\t' << loss << '\t' << std::exp(loss) << '\n';
    if (-loss > state_.best) {
      state_.best = -loss;
      write_model("best");
    }
    if (!options_.quiet)
      std::fprintf(stderr, "%sepoch %ld: loss of a token %.4f, perplexity %.2f, best %.4f\n",
                   isatty(2) != 0 ? "\r\033[K" : "", static_cast<long>(epoch), loss, std::exp(loss),
                   -state_.best);
  }

  void write_model(const std::string& name) const {
    const std::filesystem::path folder = options_.out / name;
    std::filesystem::create_directories(folder);
    const ReportModelFolder files = ReportModelFolder::in(folder);
    save_parameters(state_.average, report_decoder_specs(problem_.config), files.weights);
    write_file(files.config, to_yaml(problem_.config));
  }

  // A resumed run writes the rows after its checkpoint again.
  void cut_logs() const {
    const std::pair<const char*, const char*> headers[] = {
        {"train.tsv", "step\tepoch\tloss\tlearning_rate\tgradient_norm"},
        {"validation.tsv", "step\tepoch\tloss\tperplexity"}};
    for (const auto& [name, header] : headers) {
      std::ifstream old(options_.out / name);
      std::string kept = std::string(header) + "\n", line;
      std::getline(old, line);
      while (options_.resume && std::getline(old, line))
        if (std::atoll(line.c_str()) <= state_.step) kept += line + "\n";
      write_file(options_.out / name, kept);
    }
  }

  std::ofstream log(const char* name) const {
    std::ofstream file(options_.out / name, std::ios::app);
    if (!file)
      throw Error(ErrorCode::io, (options_.out / name).string() + ": cannot be written; is the disk full?");
    file.precision(9);
    return file;
  }

  void print_start() const {
    if (options_.quiet) return;
    int64_t weights = 0;
    for (const auto& [name, value] : state_.parameters) weights += value.numel();
    std::fprintf(stderr, "%zu texts to learn from, %zu to validate; %.2f M weights; %ld steps on %s\n",
                 training_.size(), validation_.size(), static_cast<double>(weights) / 1e6,
                 static_cast<long>(last_step_), device_.str().c_str());
  }

  const ReportTraining& options_;
  const ReportProblemView& file_;
  const ReportProblem& problem_;
  torch::Device device_;
  const OptimizerOptions optimizer_;
  int threads_ = 1;
  std::vector<size_t> training_, validation_;
  int64_t batch_ = 0, steps_per_epoch_ = 0, last_step_ = 0;
  TrainState state_;
  std::vector<Parameters> leaves_;  // a thread's view of the parameters, with gradients of its own
};

}  // namespace

bool train_report(const ReportTraining& options, const std::function<bool()>& stop) {
  at::set_num_threads(1);  // see train/threads.h
  const MappedFile mapped = MappedFile::open(options.problem);
  const auto file = ReportProblemView::parse(mapped.bytes(), options.problem.string());
  return ReportRun(options, file).run(stop);
}

}  // namespace mii
