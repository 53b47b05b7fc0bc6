#include "train/trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <thread>
#include <unistd.h>

#include "core/file.h"
#include "core/utf8.h"
#include "mii/error.h"
#include "train/batch_pass.h"
#include "train/data.h"
#include "train/difference.h"
#include "train/optimizer.h"
#include "train/random.h"
#include "train/state.h"
#include "train/towers.h"
#include "train/unicl.h"
#include "train/validation.h"

namespace mii {
namespace {

using Clock = std::chrono::steady_clock;
using torch::Tensor;

constexpr uint64_t kDropPathKey = ~uint64_t{0};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool learns(const std::string& name, Trained trained) {
  if (name.ends_with("_projection") || name == "logit_scale" || name == kLabelVectors) return true;
  if (trained == Trained::projections) return false;
  return trained == Trained::all || name.starts_with("lang_encoder.");
}

class Training {
 public:
  Training(const TrainOptions& options, Pack pack)
      : options_(options),
        pack_(std::move(pack)),
        data_(pack_, options_.batch, options_.balance, options_.seed),
        device_(choose_device(options.device)),
        optimizer_{.matrices = matrix_rule(options),
                   .weight_decay = options.weight_decay,
                   .clip_norm = options.clip_norm,
                   .average_decay = options.average_decay} {
    torch::manual_seed(options.seed);
    state_.parameters = options.start_weights
                            ? load_parameters(*options.start_weights, pack_.model, pack_.vocabulary_size)
                            : initial_parameters(pack_.model, pack_.vocabulary_size);
    if (options.class_weight > 0) state_.parameters.emplace(kLabelVectors, label_vectors());
    steps_per_epoch_ = std::max<int64_t>(1, data_.training_images() / options.batch);
    last_step_ = steps_per_epoch_ * options.epochs;
    for (const auto& [name, value] : state_.parameters) {
      state_.average.emplace(name, value.clone());
      if (learns(name, options.trained)) add_moments(name, optimizer_.matrices, state_);
    }
    fingerprint_ = fingerprint();
    if (options.resume) {
      state_ = read_state(options.out / "checkpoint", fingerprint_, state_);
    } else if (std::filesystem::exists(options.out / "checkpoint")) {
      throw Error(
          ErrorCode::invalid_argument,
          options.out.string() + " holds a checkpoint: resume with --resume, or choose another folder");
    }
    for (Parameters* tensors :
         {&state_.parameters, &state_.average, &state_.first_moment, &state_.second_moment})
      for (auto& [name, value] : *tensors) value = value.to(device_);
    for (auto& [name, value] : state_.parameters)
      value.set_requires_grad(state_.first_moment.count(name) != 0);
    if (device_.is_cpu())
      threads_ =
          options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
    pass_.emplace(pack_.model, state_.parameters, threads_);
    validation_.emplace(pack_, data_, state_.average, device_, threads_, std::max(threads_, options.loaders));
  }

  bool run(const std::function<bool()>& stop) {
    std::filesystem::create_directories(options_.out);
    cut_logs();
    print_start();
    Loader loader(
        data_, [this](int64_t step) { return view(step); }, state_.step, last_step_, options_.loaders,
        device_);
    auto saved = Clock::now();
    started_ = Clock::now();
    start_step_ = state_.step;
    if (options_.start_weights && state_.step == 0) validate();
    while (state_.step < last_step_) {
      const auto begin = Clock::now();
      step(loader.take(), begin);
      if (state_.step % (options_.validate_every * steps_per_epoch_) == 0 || state_.step == last_step_)
        validate();
      const bool stopped = stop();
      if (stopped || state_.step == last_step_ || seconds_since(saved) > options_.save_every_s) {
        write_state(state_, options_.out / "checkpoint", fingerprint_);
        saved = Clock::now();
      }
      if (stopped && state_.step < last_step_) return false;
    }
    if (options_.calibrate) {
      const double scale = validation_->best_logit_scale(last_step_, view(last_step_));
      state_.average.at("logit_scale").fill_(scale);
      if (!options_.quiet)
        std::fprintf(stderr, "temperature %.1f fits single labels best\n", std::exp(scale));
      write_model("last");
    }
    if (options_.start_weights) compare_with_start();
    return true;
  }

 private:
  static MatrixRule matrix_rule(const TrainOptions& options) {
    const bool muon = options.optimizer == Optimizer::muon ||
                      (options.optimizer == Optimizer::automatic && !options.start_weights);
    return muon ? MatrixRule::muon : MatrixRule::adamw;
  }

  static torch::Device choose_device(const std::string& name) {
    if (name == "cpu" || (name == "auto" && !torch::cuda::is_available())) return torch::kCPU;
    if (!torch::cuda::is_available())
      throw Error(ErrorCode::invalid_argument,
                  "device '" + name + "' asked for, but this LibTorch sees no CUDA device");
    return torch::kCUDA;
  }

  // What a run must share with the one that it resumes.
  std::string fingerprint() const {
    std::ostringstream text;
    text << "batch " << options_.batch << ", epochs " << options_.epochs << ", learning rate "
         << options_.learning_rate << ", weight decay " << options_.weight_decay << ", warm-up "
         << options_.warm_up << ", drop path " << options_.drop_path << ", clip norm " << options_.clip_norm
         << ", average " << options_.average_decay << ", balance " << options_.balance << ", label weight "
         << options_.label_weight << ", class weight " << options_.class_weight << ", start "
         << options_.start << ", augmentation " << options_.augmentation << ", end " << options_.end
         << ", seed " << options_.seed << ", images " << data_.training_images() << ", trained "
         << static_cast<int>(options_.trained) << ", matrices " << static_cast<int>(optimizer_.matrices);
    return text.str();
  }

  // Two values that the image tower does not tell apart teach the text tower nothing, and the other way
  // round; random vectors break this tie. For a fine-tuned model they begin as its text tower's vectors.
  Tensor label_vectors() const {
    if (!options_.start_weights)
      return torch::randn({static_cast<int64_t>(data_.labels().size()), pack_.model.embedding_dim});
    const torch::NoGradGuard no_gradient;
    std::vector<const std::vector<int32_t>*> texts;
    for (const int32_t label : data_.labels())
      texts.push_back(data_.captions(static_cast<size_t>(label)).front());
    return Towers(pack_.model, state_.parameters).encode_texts(to_text_batch(texts));
  }

  double learning_rate() const {
    const double warm = std::max(1.0, options_.warm_up * static_cast<double>(last_step_));
    const double at = static_cast<double>(state_.step);
    if (at < warm) return options_.learning_rate * (at + 1) / warm;
    const double progress = (at - warm) / std::max(1.0, static_cast<double>(last_step_) - warm);
    return options_.learning_rate * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * progress)));
  }

  View view(int64_t step) const {
    const auto& image = pack_.model.image;
    return view_at({.width = static_cast<int>(image.width),
                    .height = static_cast<int>(image.height),
                    .strength = options_.augmentation,
                    .start = options_.start,
                    .end = options_.end},
                   static_cast<double>(step) / static_cast<double>(last_step_));
  }

  // The contrast of the captions, and of each image among the labels of each field, as texts and as free
  // vectors.
  Tensor loss_of(const Batch& batch) {
    const Tensor scale = state_.parameters.at("logit_scale").exp();
    const Tensor logits = torch::matmul(pass_->images(), pass_->texts().t()) * scale;
    const Tensor truth = batch.truth.to(device_);
    const auto captions = [&](const Tensor& x) { return x.slice(1, 0, batch.captions); };
    Tensor loss = unicl_loss(captions(logits), captions(truth));
    if (options_.label_weight > 0)
      loss = loss + options_.label_weight * fields_contrast(logits, truth, batch.field_texts);
    if (options_.class_weight > 0) {
      const Tensor vectors = torch::nn::functional::normalize(state_.parameters.at(kLabelVectors));
      loss =
          loss + options_.class_weight * fields_contrast(torch::matmul(pass_->images(), vectors.t()) * scale,
                                                         batch.label_truth.to(device_), data_.field_labels());
    }
    return loss;
  }

  void step(const Batch& batch, Clock::time_point begin) {
    Tensor factors;
    if (options_.drop_path > 0) {
      Random random{options_.seed, static_cast<uint64_t>(state_.step), kDropPathKey};
      factors = drop_path_factors(pack_.model, options_.batch, options_.drop_path, random).to(device_);
    }
    {
      const MixedPrecision mixed(device_);
      pass_->forward(batch.pixels.to(device_, /*non_blocking=*/true), factors, batch.texts);
    }
    const Tensor loss = loss_of(batch);
    loss.backward();
    pass_->backward();
    const double value = loss.item<double>();
    if (!std::isfinite(value))
      throw Error(ErrorCode::internal, "the loss is not finite at step " + std::to_string(state_.step) +
                                           ": try a smaller --learning-rate");
    const double rate = learning_rate();
    const double norm = update(state_, optimizer_, rate, threads_);
    ++state_.step;
    log_step(value, rate, norm, static_cast<double>(options_.batch) / seconds_since(begin));
  }

  void validate() {
    const Scores scores = validation_->scores();
    const int64_t epoch = state_.step / steps_per_epoch_;
    std::ofstream log(options_.out / "validation.tsv", std::ios::app);
    log << state_.step << '\t' << epoch;
    for (const double value : scores.top1) log << '\t' << value;
    log << '\t' << scores.recall1 << '\t' << scores.recall5 << '\n';
    expect_written(log, "validation.tsv");
    if (!options_.quiet) {
      std::fprintf(stderr, "%sepoch %ld:", isatty(2) ? "\r\033[K" : "", static_cast<long>(epoch));
      for (size_t f = 0; f < scores.top1.size(); ++f)
        std::fprintf(stderr, " %s %.1f %%,", printable(pack_.fields[f]).c_str(), 100 * scores.top1[f]);
      std::fprintf(stderr, " recall@1 %.1f %%, @5 %.1f %%\n", 100 * scores.recall1, 100 * scores.recall5);
    }
    write_model("last");
    if (scores.mean >= state_.best) {
      state_.best = scores.mean;
      write_model("best");
    }
  }

  // A fine-tune that loses must show, whoever looks at the figures of its epochs.
  void compare_with_start() const {
    const std::vector<int32_t> groups = validation_groups(pack_);
    if (groups.empty()) {
      say("there are no validation images: whether training helped is not known");
      return;
    }
    const Parameters before = parameters_of(*options_.start_weights);
    const Scores start = scores_of(before);
    std::ostringstream table;
    table << "model\ttop1_mean\tstart_top1_mean\tdifference\tlow\thigh\n";
    for (const char* name : {"last", "best"}) {
      const Parameters after = parameters_of(weights_path(name));
      const Scores scores = scores_of(after);
      const Difference difference = paired_difference(start, scores, groups);
      table << name << '\t' << scores.mean << '\t' << start.mean << '\t' << difference.value << '\t'
            << difference.low << '\t' << difference.high << '\n';
      if (equal(before, after))
        say(std::string(name) + "/ is the model that training began with: no epoch was as good");
      else if (!options_.quiet || difference.high < 0)
        say(verdict(name, scores, start, difference));
    }
    AtomicFile file(options_.out / "comparison.tsv");
    file.write(table.str());
    file.commit();
  }

  static std::string verdict(const std::string& name, const Scores& scores, const Scores& start,
                             const Difference& difference) {
    const char* outcome = difference.low > 0    ? "is better than"
                          : difference.high < 0 ? "IS WORSE THAN"
                                                : "is not shown to differ from";
    char text[256];
    std::snprintf(text, sizeof(text),
                  "%s/ %s the model that training began with: mean top-1 %.1f %% against %.1f %%, difference "
                  "%+.1f points (95 %% interval %+.1f to %+.1f)",
                  name.c_str(), outcome, 100 * scores.mean, 100 * start.mean, 100 * difference.value,
                  100 * difference.low, 100 * difference.high);
    return text;
  }

  static void say(const std::string& sentence) { std::fprintf(stderr, "%s\n", sentence.c_str()); }

  Parameters parameters_of(const std::filesystem::path& weights) const {
    Parameters parameters = load_parameters(weights, pack_.model, pack_.vocabulary_size);
    for (auto& [name, value] : parameters) value = value.to(device_);
    return parameters;
  }

  static bool equal(const Parameters& a, const Parameters& b) {
    return std::ranges::all_of(a, [&](const auto& p) { return torch::equal(p.second, b.at(p.first)); });
  }

  Scores scores_of(const Parameters& parameters) const {
    return Validation(pack_, data_, parameters, device_, threads_, std::max(threads_, options_.loaders))
        .scores();
  }

  std::filesystem::path weights_path(const std::string& model) const {
    return options_.out / model / "vision_model" / "model.safetensors";
  }

  void write_model(const std::string& name) const {
    const auto folder = options_.out / name;
    if (std::filesystem::exists(options_.pack / "model"))
      std::filesystem::copy(
          options_.pack / "model", folder,
          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    std::filesystem::create_directories(folder / "vision_model");
    save_parameters(state_.average, pack_.model, pack_.vocabulary_size, weights_path(name));
  }

  // A resumed run writes the rows after its checkpoint again.
  void cut_logs() const {
    std::string fields;
    for (const std::string& field : pack_.fields) fields += "\t" + field + "_top1";
    const std::map<std::string, std::string> headers{
        {"train.tsv", "step\tepoch\timages\tloss\tlearning_rate\ttemperature\tgradient_norm\timages_per_s"},
        {"validation.tsv", "step\tepoch" + fields + "\trecall_1\trecall_5"}};
    for (const auto& [name, header] : headers) {
      std::ifstream old(options_.out / name);
      std::string kept = header + "\n", line;
      std::getline(old, line);
      while (options_.resume && std::getline(old, line))
        if (std::atoll(line.c_str()) <= state_.step) kept += line + "\n";
      AtomicFile file(options_.out / name);
      file.write(kept);
      file.commit();
    }
  }

  void print_start() const {
    if (options_.quiet) return;
    int64_t learning = 0, all = 0;
    for (const auto& [name, value] : state_.parameters) {
      all += value.numel();
      if (state_.first_moment.count(name) != 0) learning += value.numel();
    }
    std::fprintf(stderr,
                 "%ld images, %zu label sets, %zu captions; %.2f M weights, %.2f M learn; %ld steps on %s\n",
                 static_cast<long>(data_.training_images()), pack_.label_sets.size(), pack_.captions.size(),
                 static_cast<double>(all) / 1e6, static_cast<double>(learning) / 1e6,
                 static_cast<long>(last_step_), device_.str().c_str());
  }

  void expect_written(std::ofstream& log, const char* name) const {
    if (!log.flush())
      throw Error(ErrorCode::io, (options_.out / name).string() + ": cannot be written; is the disk full?");
  }

  void log_step(double loss, double rate, double norm, double images_per_s) {
    std::ofstream log(options_.out / "train.tsv", std::ios::app);
    const double temperature = state_.parameters.at("logit_scale").item<double>();
    log.precision(9);
    log << state_.step << '\t' << static_cast<double>(state_.step) / static_cast<double>(steps_per_epoch_)
        << '\t' << state_.step * options_.batch << '\t' << loss << '\t' << rate << '\t'
        << std::exp(temperature) << '\t' << norm << '\t' << images_per_s << '\n';
    expect_written(log, "train.tsv");
    mean_loss_ = mean_loss_ == 0 ? loss : 0.98 * mean_loss_ + 0.02 * loss;
    if (options_.quiet || (!isatty(2) && state_.step % 50 != 0)) return;
    const double spent = seconds_since(started_);
    const double each = spent / static_cast<double>(state_.step - start_step_);
    const auto left = static_cast<long>(each * static_cast<double>(last_step_ - state_.step));
    std::fprintf(stderr, "%sstep %ld of %ld  loss %.4f  %.1f images/s  %ld:%02ld:%02ld left%s",
                 isatty(2) ? "\r\033[K" : "", static_cast<long>(state_.step), static_cast<long>(last_step_),
                 mean_loss_, static_cast<double>(options_.batch) / each, left / 3600, left / 60 % 60,
                 left % 60, isatty(2) && state_.step < last_step_ ? "" : "\n");
  }

  const TrainOptions& options_;
  const Pack pack_;
  const Data data_;
  torch::Device device_;
  const OptimizerOptions optimizer_;
  int threads_ = 1;
  TrainState state_;
  std::optional<BatchPass> pass_;         // with the parameters
  std::optional<Validation> validation_;  // of their moving average
  std::string fingerprint_;
  int64_t steps_per_epoch_ = 0;
  int64_t last_step_ = 0;
  int64_t start_step_ = 0;
  Clock::time_point started_;
  double mean_loss_ = 0;
};

}  // namespace

bool train(const TrainOptions& options, const std::function<bool()>& stop) {
  at::set_num_threads(1);  // see train/threads.h
  return Training(options, read_pack(options.pack)).run(stop);
}

}  // namespace mii
