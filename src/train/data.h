#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <vector>

#include "dataset/pack.h"
#include "train/augment.h"
#include "train/random.h"
#include "train/towers.h"

namespace mii {

/// What one step learns from.
struct Batch {
  torch::Tensor pixels;             ///< float32 [images, 3, height, width], normalised
  std::vector<int32_t> label_sets;  ///< of the images
  TextBatch texts;                  ///< one caption for each image, distractors, then labels
  torch::Tensor truth;              ///< uint8 [images, texts], values of mii::Truth
  int64_t captions = 0;             ///< the number of texts before the labels
  /// For each field, the texts that name one of its values and nothing else: labels and distractors.
  std::vector<std::vector<int64_t>> field_texts;
  torch::Tensor label_truth;  ///< uint8 [images, labels], values of mii::Truth; see Data::labels()
};

/// How views change during a run.
struct ViewSchedule {
  int width = 0;  ///< of a full view
  int height = 0;
  double strength = 1;  ///< View::strength
  double start = 1;     ///< share of the sides and of the augmentation (grey included) to begin with
  double end = 1;       ///< share of the strength to end with
};

/// The views after this share of the steps. Sides and augmentation grow during the first four fifths
/// (progressive learning, Tan and Le 2021), sides in steps of 32 pixels; the strength falls towards its end
/// step by step.
View view_at(const ViewSchedule& schedule, double progress);

/// Pads the texts' tokens on the right.
TextBatch to_text_batch(const std::vector<const std::vector<int32_t>*>& texts);

/// Random batches of the images of a pack. Images are decoded when they are drawn: batch() and plain() throw
/// Error{invalid_image} for a damaged one. A batch depends only on the seed and its step.
class Data {
 public:
  /// balance: see train/balance.h. Keeps a reference to the pack. Throws Error{invalid_argument} when the
  /// pack has nothing to learn from.
  Data(const Pack& pack, int64_t batch, double balance, uint64_t seed);

  int64_t training_images() const { return training_images_; }

  Batch batch(int64_t step, const View& view) const;

  /// Images [from, to) of `images` (indices into Pack::images), unchanged, decoded by that many threads:
  /// float32 [to - from, 3, H, W].
  torch::Tensor plain(const std::vector<size_t>& images, size_t from, size_t to, int threads) const;

  /// Concepts of one field that training images have.
  const std::vector<int32_t>& labels() const { return labels_; }

  /// Of each field: places in labels().
  const std::vector<std::vector<int64_t>>& field_labels() const { return field_labels_; }

  /// Tokens of each caption of a concept, the plainest first.
  const std::vector<const std::vector<int32_t>*>& captions(size_t concept_id) const {
    return captions_[concept_id];
  }

 private:
  Picture picture(size_t image) const;
  size_t draw_set(Random& random) const;
  int32_t draw_concept(size_t set, Random& random) const;
  const std::vector<int32_t>* draw_caption(int32_t concept_id, Random& random) const;
  torch::Tensor truth_of(const std::vector<int32_t>& label_sets, const std::vector<int32_t>& concepts) const;
  void normalise(const Planes& planes, float* to) const;

  const Pack& pack_;
  const int64_t batch_;
  const uint64_t seed_;
  std::vector<std::vector<const std::vector<int32_t>*>> captions_;  // of each concept
  std::vector<std::vector<int32_t>> drawn_;                         // concepts of each label set
  std::vector<int32_t> distractors_;                                // concepts
  std::vector<int32_t> labels_;                                     // see labels()
  std::vector<std::vector<int64_t>> field_labels_;                  // see field_labels()
  std::vector<std::vector<size_t>> members_;                        // training images of each label set
  std::vector<double> cumulative_;
  int64_t training_images_ = 0;
};

/// Prepares the next batches while the current one is computed.
class Loader {
 public:
  /// Batches of the steps [step, last); view(step) says how their images are made. Pixels for another device
  /// are pinned, so that they are copied while the processor works on.
  Loader(const Data& data, std::function<View(int64_t)> view, int64_t step, int64_t last, int threads,
         torch::Device device);

  Batch take();

 private:
  void ask();

  const Data& data_;
  const std::function<View(int64_t)> view_;
  int64_t next_;
  const int64_t last_;
  const bool pinned_;
  std::deque<std::future<Batch>> pending_;
};

}  // namespace mii
