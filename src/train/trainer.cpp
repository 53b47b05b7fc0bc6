#include "train/trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>
#include <unistd.h>

#include "core/file.h"
#include "mii/error.h"
#include "train/augment.h"
#include "train/balance.h"
#include "train/random.h"
#include "train/state.h"
#include "train/towers.h"
#include "train/unicl.h"

namespace mii {
namespace {

using Clock = std::chrono::steady_clock;
using torch::Tensor;

constexpr double kMaxLogitScale = 4.6052;  // ln(100), as CLIP

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What one step learns from.
struct Batch {
  Tensor pixels;  // [B, 3, H, W]
  TextBatch texts;
  Tensor truth;  // uint8 [B, texts]
};

TextBatch to_text_batch(const std::vector<const std::vector<int32_t>*>& texts) {
  size_t longest = 0;
  for (const auto* ids : texts) longest = std::max(longest, ids->size());
  const auto count = static_cast<int64_t>(texts.size());
  TextBatch batch{torch::zeros({count, static_cast<int64_t>(longest)}, torch::kInt64),
                  torch::zeros({count}, torch::kInt64)};
  for (int64_t t = 0; t < count; ++t) {
    const auto& ids = *texts[static_cast<size_t>(t)];
    std::copy(ids.begin(), ids.end(), batch.ids.data_ptr<int64_t>() + t * static_cast<int64_t>(longest));
    batch.lengths.data_ptr<int64_t>()[t] = static_cast<int64_t>(ids.size());
  }
  return batch;
}

/// The decoded images of a pack, and random batches of them.
class Data {
 public:
  Data(const Pack& pack, const TrainOptions& options) : pack_(pack), options_(options) {
    captions_.resize(pack.concepts.size());
    for (const Caption& caption : pack.captions)
      captions_[static_cast<size_t>(caption.concept_id)].push_back(&caption.ids);
    drawn_.resize(pack.label_sets.size());
    for (size_t c = 0; c < pack.concepts.size(); ++c)
      for (const int32_t l : pack.concepts[c].drawn_by)
        if (!captions_[c].empty()) drawn_[static_cast<size_t>(l)].push_back(static_cast<int32_t>(c));
    for (size_t c = 0; c < pack.concepts.size(); ++c)
      if (pack.concepts[c].distractor && !captions_[c].empty())
        distractors_.push_back(static_cast<int32_t>(c));
    members_.resize(pack.label_sets.size());
    for (const PackedImage& image : pack.images) {
      const auto set = static_cast<size_t>(image.label_set);
      if (!image.validation && !drawn_[set].empty()) {
        members_[set].push_back(pictures_.size());
        ++training_images_;
      }
      pictures_.push_back(decode_jpeg(image.jpeg));
    }
    double sum = 0;
    std::vector<size_t> counts;
    for (const auto& members : members_) counts.push_back(members.size());
    for (const double share : draw_shares(pack.label_sets, counts, options.balance))
      cumulative_.push_back(sum += share);
    if (training_images_ == 0)
      throw Error(ErrorCode::invalid_argument, "the pack has no training image with a caption");
  }

  int64_t training_images() const { return training_images_; }

  Batch batch(int64_t step) const {
    const int64_t n = options_.batch;
    const int64_t distractors = distractors_.empty() ? 0 : (n + 7) / 8;
    const auto width = static_cast<int>(pack_.model.image.width),
               height = static_cast<int>(pack_.model.image.height);
    Batch batch{torch::empty({n, 3, height, width}), {}, torch::empty({n, n + distractors}, torch::kUInt8)};
    std::vector<const std::vector<int32_t>*> texts;
    std::vector<int32_t> sets, concepts;
    for (int64_t i = 0; i < n; ++i) {
      Random random{options_.seed, static_cast<uint64_t>(step), static_cast<uint64_t>(i)};
      const size_t set = draw_set(random);
      const auto& members = members_[set];
      const size_t image = members[static_cast<size_t>(random.below(static_cast<int64_t>(members.size())))];
      const int32_t concept_id = draw_concept(set, random);
      texts.push_back(draw_caption(concept_id, random));
      sets.push_back(static_cast<int32_t>(set));
      concepts.push_back(concept_id);
      normalise(augmented(pictures_[image], width, height, random),
                batch.pixels.data_ptr<float>() + i * 3 * width * height);
    }
    Random random{options_.seed, static_cast<uint64_t>(step), static_cast<uint64_t>(n)};
    for (int64_t i = 0; i < distractors; ++i) {
      concepts.push_back(
          distractors_[static_cast<size_t>(random.below(static_cast<int64_t>(distractors_.size())))]);
      texts.push_back(draw_caption(concepts.back(), random));
    }
    auto* truth = batch.truth.data_ptr<uint8_t>();
    for (const int32_t set : sets)
      for (const int32_t concept_id : concepts)
        *truth++ = static_cast<uint8_t>(pack_.truth_of(set, concept_id));
    batch.texts = to_text_batch(texts);
    return batch;
  }

  /// Augmented images as batch() draws them, and their label sets.
  std::pair<Tensor, std::vector<int32_t>> images_of_step(int64_t step) const {
    const Batch drawn = batch(step);
    std::vector<int32_t> sets;
    for (int64_t i = 0; i < options_.batch; ++i) {
      Random random{options_.seed, static_cast<uint64_t>(step), static_cast<uint64_t>(i)};
      sets.push_back(static_cast<int32_t>(draw_set(random)));
    }
    return {drawn.pixels, sets};
  }

  /// Images [from, to) of `images`, as they are.
  Tensor plain(const std::vector<size_t>& images, size_t from, size_t to) const {
    const auto width = static_cast<int>(pack_.model.image.width),
               height = static_cast<int>(pack_.model.image.height);
    Tensor pixels = torch::empty({static_cast<int64_t>(to - from), 3, height, width});
    for (size_t i = from; i < to; ++i)
      normalise(resized(pictures_[images[i]], width, height),
                pixels.data_ptr<float>() + static_cast<int64_t>(i - from) * 3 * width * height);
    return pixels;
  }

  const std::vector<const std::vector<int32_t>*>& captions(size_t concept_id) const {
    return captions_[concept_id];
  }

 private:
  size_t draw_set(Random& random) const {
    const double at = static_cast<double>(random.bits() >> 11) * 0x1p-53 * cumulative_.back();
    return static_cast<size_t>(std::upper_bound(cumulative_.begin(), cumulative_.end(), at) -
                               cumulative_.begin());
  }

  int32_t draw_concept(size_t set, Random& random) const {
    float sum = 0;
    for (const int32_t c : drawn_[set]) sum += pack_.concepts[static_cast<size_t>(c)].weight;
    float at = random.uniform() * sum;
    for (const int32_t c : drawn_[set]) {
      at -= pack_.concepts[static_cast<size_t>(c)].weight;
      if (at < 0) return c;
    }
    return drawn_[set].back();
  }

  const std::vector<int32_t>* draw_caption(int32_t concept_id, Random& random) const {
    const auto& captions = captions_[static_cast<size_t>(concept_id)];
    return captions[static_cast<size_t>(random.below(static_cast<int64_t>(captions.size())))];
  }

  void normalise(const Planes& planes, float* to) const {
    for (size_t c = 0; c < 3; ++c) {
      const float mean = pack_.model.image.mean[c], scale = 1 / pack_.model.image.std[c];
      for (size_t i = 0; i < planes.plane(); ++i)
        to[c * planes.plane() + i] = (planes.values[c * planes.plane() + i] - mean) * scale;
    }
  }

  const Pack& pack_;
  const TrainOptions& options_;
  std::vector<Picture> pictures_;
  std::vector<std::vector<const std::vector<int32_t>*>> captions_;  // of each concept
  std::vector<std::vector<int32_t>> drawn_;                         // concepts of each label set
  std::vector<int32_t> distractors_;                                // concepts
  std::vector<std::vector<size_t>> members_;                        // training images of each label set
  std::vector<double> cumulative_;
  int64_t training_images_ = 0;
};

/// Makes the next batches while the present one is computed.
class Loader {
 public:
  Loader(const Data& data, int64_t step, int64_t last, int threads)
      : data_(data), next_(step), last_(last), threads_(std::max(threads, 1)) {
    for (int i = 0; i < threads_; ++i) ask();
  }

  Batch take() {
    Batch batch = pending_.front().get();
    pending_.pop_front();
    ask();
    return batch;
  }

 private:
  void ask() {
    if (next_ >= last_) return;
    pending_.push_back(std::async(std::launch::async, [this, step = next_] {
      torch::NoGradGuard no_gradient;
      return data_.batch(step);
    }));
    ++next_;
  }

  const Data& data_;
  int64_t next_;
  int64_t last_;
  int threads_;
  std::deque<std::future<Batch>> pending_;
};

// As the reference groups them.
bool decays(const std::string& name, const Tensor& value) {
  const bool depthwise = name.find(".fn.dw.") != std::string::npos;
  const bool embedding = name.find("embedding") != std::string::npos;
  return value.dim() >= 2 && !depthwise && !embedding;
}

bool learns(const std::string& name, Trained trained) {
  if (name.ends_with("_projection") || name == "logit_scale") return true;
  if (trained == Trained::projections) return false;
  return trained == Trained::all || name.starts_with("lang_encoder.");
}

struct Scores {
  std::vector<double> top1;  // of each field; NaN without images
  double recall1 = 0;
  double recall5 = 0;
  double mean = 0;  // what "best" means
};

class Training {
 public:
  Training(const TrainOptions& options, Pack pack)
      : options_(options),
        pack_(std::move(pack)),
        data_(pack_, options_),
        device_(choose_device(options.device)) {
    torch::manual_seed(options.seed);
    state_.parameters = options.start_weights
                            ? load_parameters(*options.start_weights, pack_.model, pack_.vocabulary_size)
                            : initial_parameters(pack_.model, pack_.vocabulary_size);
    steps_per_epoch_ = std::max<int64_t>(1, data_.training_images() / options.batch);
    last_step_ = steps_per_epoch_ * options.epochs;
    for (const auto& [name, value] : state_.parameters) {
      state_.average.emplace(name, value.clone());
      if (!learns(name, options.trained)) continue;
      state_.first_moment.emplace(name, torch::zeros_like(value));
      state_.second_moment.emplace(name, torch::zeros_like(value));
    }
    fingerprint_ = fingerprint();
    if (options.resume) {
      state_ = read_state(options.out / "checkpoint", fingerprint_, state_);
    } else if (std::filesystem::exists(options.out / "checkpoint")) {
      throw Error(
          ErrorCode::invalid_argument,
          options.out.string() + " holds a checkpoint: go on with --resume, or choose another folder");
    }
    for (Parameters* tensors :
         {&state_.parameters, &state_.average, &state_.first_moment, &state_.second_moment})
      for (auto& [name, value] : *tensors) value = value.to(device_);
    for (auto& [name, value] : state_.parameters)
      value.set_requires_grad(state_.first_moment.count(name) != 0);
  }

  bool run(const std::function<bool()>& stop) {
    std::filesystem::create_directories(options_.out);
    cut_logs();
    print_start();
    Loader loader(data_, state_.step, last_step_, options_.loaders);
    auto saved = Clock::now();
    started_ = Clock::now();
    start_step_ = state_.step;
    while (state_.step < last_step_) {
      step(loader.take());
      if (state_.step % steps_per_epoch_ == 0) end_epoch();
      const bool stopped = stop();
      if (stopped || state_.step == last_step_ || seconds_since(saved) > options_.save_every_s) {
        write_state(state_, options_.out / "checkpoint", fingerprint_);
        saved = Clock::now();
      }
      if (stopped && state_.step < last_step_) return false;
    }
    if (options_.calibrate) calibrate();
    return true;
  }

 private:
  static torch::Device choose_device(const std::string& name) {
    if (name == "cpu" || (name == "auto" && !torch::cuda::is_available())) return torch::kCPU;
    if (!torch::cuda::is_available())
      throw Error(ErrorCode::invalid_argument,
                  "device '" + name + "' asked for, but this LibTorch sees no CUDA device");
    return torch::kCUDA;
  }

  // What a run must share with the one that it goes on from.
  std::string fingerprint() const {
    std::ostringstream text;
    text << "batch " << options_.batch << ", epochs " << options_.epochs << ", learning rate "
         << options_.learning_rate << ", weight decay " << options_.weight_decay << ", warm-up "
         << options_.warm_up << ", drop path " << options_.drop_path << ", clip norm " << options_.clip_norm
         << ", average " << options_.average_decay << ", balance " << options_.balance << ", seed "
         << options_.seed << ", images " << data_.training_images() << ", trained "
         << static_cast<int>(options_.trained);
    return text.str();
  }

  double learning_rate() const {
    const double warm = std::max(1.0, options_.warm_up * static_cast<double>(last_step_));
    const double at = static_cast<double>(state_.step);
    if (at < warm) return options_.learning_rate * (at + 1) / warm;
    const double progress = (at - warm) / std::max(1.0, static_cast<double>(last_step_) - warm);
    return options_.learning_rate * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * progress)));
  }

  Tensor loss_of(const Batch& batch) {
    const MixedPrecision mixed(device_);
    const Towers towers(pack_.model, state_.parameters);
    const Tensor images = towers.encode_images(batch.pixels.to(device_), options_.drop_path);
    const Tensor texts = towers.encode_texts({batch.texts.ids.to(device_), batch.texts.lengths.to(device_)});
    const Tensor logits =
        torch::matmul(images, texts.t()).to(torch::kFloat32) * state_.parameters.at("logit_scale").exp();
    return unicl_loss(logits, batch.truth.to(device_));
  }

  void step(const Batch& batch) {
    const auto begin = Clock::now();
    // Drop path draws from LibTorch's generator: a fixed start for each step lets a resumed run draw the
    // same.
    torch::manual_seed(Random{options_.seed, static_cast<uint64_t>(state_.step)}.bits());
    const Tensor loss = loss_of(batch);
    loss.backward();
    const double value = loss.item<double>();
    if (!std::isfinite(value))
      throw Error(ErrorCode::internal, "the loss is not finite at step " + std::to_string(state_.step) +
                                           ": try a smaller --learning-rate");
    const double rate = learning_rate();
    const double norm = update(rate);
    ++state_.step;
    log_step(value, rate, norm, static_cast<double>(options_.batch) / seconds_since(begin));
  }

  // Training shares the probability of an image among all captions that are true of it, which keeps the
  // temperature low; a single label among wrong ones deserves more. The scale that gives the right labels of
  // each field the highest likelihood, on augmented training images: those are as hard as unseen ones.
  void calibrate() {
    constexpr int64_t kBatches = 16;
    torch::NoGradGuard no_gradient;
    const Towers towers(pack_.model, state_.average);
    std::vector<Tensor> cosines, truths;  // of a field and a batch: [images, labels]
    for (int64_t b = 0; b < kBatches; ++b) {
      const auto [pixels, sets] = data_.images_of_step(last_step_ + b);
      const Tensor vectors = towers.encode_images(pixels.to(device_)).cpu();
      for (int32_t field = 0; field < static_cast<int32_t>(pack_.fields.size()); ++field)
        add_field(towers, vectors, sets, field, cosines, truths);
    }
    const auto loss = [&](double log_scale) {
      double sum = 0;
      for (size_t i = 0; i < cosines.size(); ++i) {
        const Tensor likelihood =
            (torch::softmax(cosines[i] * std::exp(log_scale), 1) * truths[i]).sum(1).clamp_min(1e-12);
        sum -= likelihood.log().mean().item<double>();
      }
      return sum;
    };
    double best = 0;
    for (double at = 0; at < kMaxLogitScale; at += 0.02)
      if (loss(at) < loss(best)) best = at;
    state_.average.at("logit_scale").fill_(best);
    if (!options_.quiet) std::fprintf(stderr, "temperature %.1f fits single labels best\n", std::exp(best));
    write_model("last");
  }

  // Images that have a value of the field, against all values that training images have.
  void add_field(const Towers& towers, const Tensor& vectors, const std::vector<int32_t>& sets, int32_t field,
                 std::vector<Tensor>& cosines, std::vector<Tensor>& truths) {
    std::vector<const std::vector<int32_t>*> texts;
    std::vector<int32_t> labels;
    for (size_t c = 0; c < pack_.concepts.size(); ++c) {
      if (pack_.concepts[c].field != field || pack_.concepts[c].distractor || data_.captions(c).empty())
        continue;
      texts.push_back(data_.captions(c).front());
      labels.push_back(static_cast<int32_t>(c));
    }
    std::vector<int64_t> rows;
    std::vector<float> truth;
    for (size_t i = 0; i < sets.size(); ++i) {
      const auto is_true = [&](int32_t c) { return pack_.truth_of(sets[i], c) == Truth::yes; };
      if (std::none_of(labels.begin(), labels.end(), is_true)) continue;
      rows.push_back(static_cast<int64_t>(i));
      for (const int32_t c : labels) truth.push_back(is_true(c) ? 1.0f : 0.0f);
    }
    if (rows.empty()) return;
    const TextBatch batch = to_text_batch(texts);
    const Tensor label_vectors =
        towers.encode_texts({batch.ids.to(device_), batch.lengths.to(device_)}).cpu();
    cosines.push_back(torch::matmul(vectors.index_select(0, torch::tensor(rows)), label_vectors.t()));
    truths.push_back(torch::tensor(truth).reshape({static_cast<int64_t>(rows.size()), -1}));
  }

  // AdamW (Loshchilov and Hutter 2019), gradients clipped by their common norm, and the moving average.
  double update(double rate) {
    constexpr double kBeta1 = 0.9, kBeta2 = 0.98, kEpsilon = 1e-8;
    torch::NoGradGuard no_gradient;
    Tensor squares = torch::zeros({}, torch::TensorOptions(device_).dtype(torch::kFloat64));
    for (const auto& [name, moment] : state_.first_moment) {
      const Tensor& gradient = state_.parameters.at(name).grad();
      if (gradient.defined()) squares += gradient.pow(2).sum().to(torch::kFloat64);
    }
    const double norm = std::sqrt(squares.item<double>());
    const double clip = std::min(1.0, options_.clip_norm / (norm + 1e-6));
    const auto t = static_cast<double>(state_.step + 1);
    const double correct1 = 1 - std::pow(kBeta1, t), correct2 = 1 - std::pow(kBeta2, t);
    for (auto& [name, first] : state_.first_moment) {
      Tensor& value = state_.parameters.at(name);
      Tensor gradient = value.grad();
      if (!gradient.defined()) continue;
      gradient.mul_(clip);
      Tensor& second = state_.second_moment.at(name);
      first.mul_(kBeta1).add_(gradient, 1 - kBeta1);
      second.mul_(kBeta2).addcmul_(gradient, gradient, 1 - kBeta2);
      if (decays(name, value)) value.mul_(1 - rate * options_.weight_decay);
      value.addcdiv_(first, (second / correct2).sqrt_().add_(kEpsilon), -rate / correct1);
      if (name == "logit_scale") value.clamp_(0, kMaxLogitScale);
      gradient.zero_();
    }
    // Early averages follow quickly, so that the start is forgotten.
    const double decay = std::min(options_.average_decay, (1 + t) / (10 + t));
    for (auto& [name, average] : state_.average) average.lerp_(state_.parameters.at(name), 1 - decay);
    return norm;
  }

  Scores validate() {
    torch::NoGradGuard no_gradient;
    const Towers towers(pack_.model, state_.average);
    std::vector<size_t> images;
    for (size_t i = 0; i < pack_.images.size(); ++i)
      if (pack_.images[i].validation) images.push_back(i);
    Scores scores;
    if (images.empty()) return scores;
    std::vector<Tensor> parts;
    for (size_t at = 0; at < images.size(); at += 64)
      parts.push_back(
          towers.encode_images(data_.plain(images, at, std::min(at + 64, images.size())).to(device_)).cpu());
    const Tensor vectors = torch::cat(parts);

    int fields = 0;
    for (int32_t field = 0; field < static_cast<int32_t>(pack_.fields.size()); ++field) {
      const auto labels = concepts_where(images, [&](const Concept& c) { return c.field == field; });
      const double top1 = recall(towers, vectors, images, labels, 1);
      scores.top1.push_back(top1);
      if (std::isnan(top1)) continue;
      scores.mean += top1;
      ++fields;
    }
    scores.mean /= std::max(fields, 1);
    const auto all = concepts_where(images, [](const Concept&) { return true; });
    scores.recall1 = recall(towers, vectors, images, all, 1);
    scores.recall5 = recall(towers, vectors, images, all, 5);
    return scores;
  }

  // Concepts with a caption that are true of some of the images.
  template <typename Wanted>
  std::vector<size_t> concepts_where(const std::vector<size_t>& images, const Wanted& wanted) const {
    std::set<int32_t> sets;
    for (const size_t i : images) sets.insert(pack_.images[i].label_set);
    std::vector<size_t> found;
    for (size_t c = 0; c < pack_.concepts.size(); ++c) {
      if (!wanted(pack_.concepts[c]) || data_.captions(c).empty()) continue;
      if (std::any_of(sets.begin(), sets.end(),
                      [&](int32_t l) { return pack_.truth_of(l, static_cast<int32_t>(c)) == Truth::yes; }))
        found.push_back(c);
    }
    return found;
  }

  // Share of images with a true concept among their k best; images without a true one do not count.
  double recall(const Towers& towers, const Tensor& vectors, const std::vector<size_t>& images,
                const std::vector<size_t>& concepts, int64_t k) const {
    std::vector<const std::vector<int32_t>*> texts;
    for (const size_t c : concepts) texts.push_back(data_.captions(c).front());
    if (texts.empty()) return NAN;
    TextBatch batch = to_text_batch(texts);
    const Tensor labels = towers.encode_texts({batch.ids.to(device_), batch.lengths.to(device_)}).cpu();
    const Tensor best = std::get<1>(
        torch::matmul(vectors, labels.t()).topk(std::min<int64_t>(k, static_cast<int64_t>(texts.size())), 1));
    int64_t right = 0, counted = 0;
    for (size_t i = 0; i < images.size(); ++i) {
      const int32_t set = pack_.images[images[i]].label_set;
      const auto is_true = [&](size_t c) {
        return pack_.truth_of(set, static_cast<int32_t>(c)) == Truth::yes;
      };
      if (std::none_of(concepts.begin(), concepts.end(), is_true)) continue;
      ++counted;
      for (int64_t r = 0; r < best.size(1); ++r) {
        if (!is_true(concepts[static_cast<size_t>(best[static_cast<int64_t>(i)][r].item<int64_t>())]))
          continue;
        ++right;
        break;
      }
    }
    return counted == 0 ? NAN : static_cast<double>(right) / static_cast<double>(counted);
  }

  void end_epoch() {
    const Scores scores = validate();
    const int64_t epoch = state_.step / steps_per_epoch_;
    std::ofstream log(options_.out / "validation.tsv", std::ios::app);
    log << state_.step << '\t' << epoch;
    for (const double value : scores.top1) log << '\t' << value;
    log << '\t' << scores.recall1 << '\t' << scores.recall5 << '\n';
    if (!options_.quiet) {
      std::fprintf(stderr, "%sepoch %ld:", isatty(2) ? "\r\033[K" : "", static_cast<long>(epoch));
      for (size_t f = 0; f < scores.top1.size(); ++f)
        std::fprintf(stderr, " %s %.1f %%,", pack_.fields[f].c_str(), 100 * scores.top1[f]);
      std::fprintf(stderr, " recall@1 %.1f %%, @5 %.1f %%\n", 100 * scores.recall1, 100 * scores.recall5);
    }
    write_model("last");
    if (scores.mean >= state_.best) {
      state_.best = scores.mean;
      write_model("best");
    }
  }

  void write_model(const std::string& name) const {
    const auto folder = options_.out / name;
    if (std::filesystem::exists(options_.pack / "model"))
      std::filesystem::copy(
          options_.pack / "model", folder,
          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    std::filesystem::create_directories(folder / "vision_model");
    save_parameters(state_.average, pack_.model, pack_.vocabulary_size,
                    folder / "vision_model" / "model.safetensors");
  }

  // A run that goes on writes the rows after its checkpoint anew.
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

  void log_step(double loss, double rate, double norm, double images_per_s) {
    std::ofstream log(options_.out / "train.tsv", std::ios::app);
    const double temperature = state_.parameters.at("logit_scale").item<double>();
    log.precision(9);
    log << state_.step << '\t' << static_cast<double>(state_.step) / static_cast<double>(steps_per_epoch_)
        << '\t' << state_.step * options_.batch << '\t' << loss << '\t' << rate << '\t'
        << std::exp(temperature) << '\t' << norm << '\t' << images_per_s << '\n';
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
  TrainState state_;
  std::string fingerprint_;
  int64_t steps_per_epoch_ = 0;
  int64_t last_step_ = 0;
  int64_t start_step_ = 0;
  Clock::time_point started_;
  double mean_loss_ = 0;
};

}  // namespace

bool train(const TrainOptions& options, const std::function<bool()>& stop) {
  const int threads =
      options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  at::set_num_threads(threads);
  return Training(options, read_pack(options.pack)).run(stop);
}

}  // namespace mii
