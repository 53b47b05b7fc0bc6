#include "train/data.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "mii/error.h"
#include "train/balance.h"
#include "train/threads.h"

namespace mii {

using torch::Tensor;

View view_at(const ViewSchedule& schedule, double progress) {
  constexpr int kStep = 32;
  constexpr double kGrowth = 0.8;  // the rest is for their full size
  const double share = schedule.start + (1 - schedule.start) * std::min(progress / kGrowth, 1.0);
  const auto side = [&](int full) {
    if (share >= 1 || full <= kStep) return full;
    return std::min(full, kStep * std::max(1, static_cast<int>(std::lround(share * full / kStep))));
  };
  const auto grown = static_cast<float>(share);
  const double strength = schedule.strength * (1 - (1 - schedule.end) * progress);
  return {side(schedule.width), side(schedule.height), grown * static_cast<float>(strength), 0.5f * grown};
}

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

Data::Data(const Pack& pack, int64_t batch, double balance, uint64_t seed)
    : pack_(pack), batch_(batch), seed_(seed) {
  captions_.resize(pack.concepts.size());
  for (const Caption& caption : pack.captions)
    captions_[static_cast<size_t>(caption.concept_id)].push_back(&caption.ids);
  drawn_.resize(pack.label_sets.size());
  for (size_t c = 0; c < pack.concepts.size(); ++c) {
    if (captions_[c].empty()) continue;
    const auto id = static_cast<int32_t>(c);
    for (const int32_t l : pack.concepts[c].drawn_by) drawn_[static_cast<size_t>(l)].push_back(id);
  }
  members_.resize(pack.label_sets.size());
  for (size_t i = 0; i < pack.images.size(); ++i) {
    const auto set = static_cast<size_t>(pack.images[i].label_set);
    if (pack.images[i].validation || drawn_[set].empty()) continue;
    members_[set].push_back(i);
    ++training_images_;
  }
  if (training_images_ == 0)
    throw Error(ErrorCode::invalid_argument, "the pack has no training image with a caption");
  field_labels_.resize(pack.fields.size());
  for (size_t c = 0; c < pack.concepts.size(); ++c) {
    const auto has = [&](int32_t set) { return !members_[static_cast<size_t>(set)].empty(); };
    const Concept& about = pack.concepts[c];
    if (about.field < 0 || captions_[c].empty()) continue;
    if (std::ranges::any_of(about.drawn_by, has)) {
      field_labels_[static_cast<size_t>(about.field)].push_back(static_cast<int64_t>(labels_.size()));
      labels_.push_back(static_cast<int32_t>(c));
    } else if (about.distractor) {  // although validation images may have it
      distractors_.push_back(static_cast<int32_t>(c));
    }
  }
  double sum = 0;
  std::vector<size_t> counts;
  for (const auto& members : members_) counts.push_back(members.size());
  for (const double share : draw_shares(pack.label_sets, counts, balance))
    cumulative_.push_back(sum += share);
}

Batch Data::batch(int64_t step, const View& view) const {
  const int64_t distractors = distractors_.empty() ? 0 : (batch_ + 7) / 8;
  Batch batch{torch::empty({batch_, 3, view.height, view.width})};
  std::vector<int32_t> concepts;
  std::vector<const std::vector<int32_t>*> texts;
  const auto say = [&](int32_t concept_id, Random& random) {
    concepts.push_back(concept_id);
    texts.push_back(draw_caption(concept_id, random));
  };
  for (int64_t i = 0; i < batch_; ++i) {
    Random random{seed_, static_cast<uint64_t>(step), static_cast<uint64_t>(i)};
    const size_t set = draw_set(random);
    const auto& members = members_[set];
    const size_t image = members[static_cast<size_t>(random.below(static_cast<int64_t>(members.size())))];
    batch.label_sets.push_back(static_cast<int32_t>(set));
    say(draw_concept(set, random), random);
    normalise(augmented(picture(image), view, random),
              batch.pixels.data_ptr<float>() + i * 3 * view.width * view.height);
  }
  Random random{seed_, static_cast<uint64_t>(step), static_cast<uint64_t>(batch_)};
  for (int64_t i = 0; i < distractors; ++i)
    say(distractors_[static_cast<size_t>(random.below(static_cast<int64_t>(distractors_.size())))], random);
  batch.captions = static_cast<int64_t>(concepts.size());
  // All labels, or twice as many as there are images, drawn without replacement.
  std::vector<int32_t> labels = labels_;
  for (size_t i = 0; i < labels.size() && static_cast<int64_t>(i) < 2 * batch_; ++i) {
    std::swap(labels[i],
              labels[i + static_cast<size_t>(random.below(static_cast<int64_t>(labels.size() - i)))]);
    say(labels[i], random);
  }

  batch.field_texts.resize(pack_.fields.size());
  for (size_t t = static_cast<size_t>(batch_); t < concepts.size(); ++t)
    batch.field_texts[static_cast<size_t>(pack_.concepts[static_cast<size_t>(concepts[t])].field)].push_back(
        static_cast<int64_t>(t));
  batch.truth = truth_of(batch.label_sets, concepts);
  batch.label_truth = truth_of(batch.label_sets, labels_);
  batch.texts = to_text_batch(texts);
  return batch;
}

Tensor Data::truth_of(const std::vector<int32_t>& label_sets, const std::vector<int32_t>& concepts) const {
  Tensor truth = torch::empty(
      {static_cast<int64_t>(label_sets.size()), static_cast<int64_t>(concepts.size())}, torch::kUInt8);
  auto* to = truth.data_ptr<uint8_t>();
  for (const int32_t set : label_sets)
    for (const int32_t concept_id : concepts) *to++ = static_cast<uint8_t>(pack_.truth_of(set, concept_id));
  return truth;
}

Tensor Data::plain(const std::vector<size_t>& images, size_t from, size_t to, int threads) const {
  const auto width = static_cast<int>(pack_.model.image.width),
             height = static_cast<int>(pack_.model.image.height);
  Tensor pixels = torch::empty({static_cast<int64_t>(to - from), 3, height, width});
  float* const values = pixels.data_ptr<float>();
  on_threads(threads, [&](size_t t) {
    for (size_t i = from + t; i < to; i += static_cast<size_t>(threads))
      normalise(resized(picture(images[i]), width, height),
                values + static_cast<int64_t>(i - from) * 3 * width * height);
  });
  return pixels;
}

Picture Data::picture(size_t image) const {
  try {
    return decode_jpeg(pack_.images[image].jpeg);
  } catch (const Error& error) {
    throw Error(error.code(), "image " + std::to_string(image) + " of the pack: " + error.what());
  }
}

size_t Data::draw_set(Random& random) const {
  const double at = static_cast<double>(random.bits() >> 11) * 0x1p-53 * cumulative_.back();
  return static_cast<size_t>(std::upper_bound(cumulative_.begin(), cumulative_.end(), at) -
                             cumulative_.begin());
}

int32_t Data::draw_concept(size_t set, Random& random) const {
  float sum = 0;
  for (const int32_t c : drawn_[set]) sum += pack_.concepts[static_cast<size_t>(c)].weight;
  float at = random.uniform() * sum;
  for (const int32_t c : drawn_[set]) {
    at -= pack_.concepts[static_cast<size_t>(c)].weight;
    if (at < 0) return c;
  }
  return drawn_[set].back();
}

const std::vector<int32_t>* Data::draw_caption(int32_t concept_id, Random& random) const {
  const auto& captions = captions_[static_cast<size_t>(concept_id)];
  return captions[static_cast<size_t>(random.below(static_cast<int64_t>(captions.size())))];
}

void Data::normalise(const Planes& planes, float* to) const {
  for (size_t c = 0; c < 3; ++c) {
    const float mean = pack_.model.image.mean[c], scale = 1 / pack_.model.image.std[c];
    for (size_t i = 0; i < planes.plane(); ++i)
      to[c * planes.plane() + i] = (planes.values[c * planes.plane() + i] - mean) * scale;
  }
}

Loader::Loader(const Data& data, std::function<View(int64_t)> view, int64_t step, int64_t last, int threads,
               torch::Device device)
    : data_(data), view_(std::move(view)), next_(step), last_(last), pinned_(!device.is_cpu()) {
  for (int i = 0; i < std::max(threads, 1); ++i) ask();
}

Batch Loader::take() {
  Batch batch = pending_.front().get();
  pending_.pop_front();
  ask();
  return batch;
}

void Loader::ask() {
  if (next_ >= last_) return;
  pending_.push_back(std::async(std::launch::async, [this, step = next_] {
    torch::NoGradGuard no_gradient;
    Batch batch = data_.batch(step, view_(step));
    if (pinned_) batch.pixels = batch.pixels.pin_memory();
    return batch;
  }));
  ++next_;
}

}  // namespace mii
