#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "train/batch_pass.h"
#include "train/data.h"

namespace mii {

/// Shares of the validation images.
struct Scores {
  std::vector<double> top1;  ///< of each field, zero-shot among the values that occur; NaN without images
  double recall1 = 0;        ///< of the captions that are true of them
  double recall5 = 0;
  double mean = 0;  ///< of top1: what "best" means
  /// Of each field and validation image, in the pack's order: whether its first choice was right; nothing
  /// where the image does not count.
  std::vector<std::vector<std::optional<bool>>> right;
};

/// How well weights do on images that they did not learn from.
class Validation {
 public:
  /// All arguments must outlive it. threads: for arithmetic; loaders: threads that decode.
  Validation(const Pack& pack, const Data& data, const Parameters& weights, torch::Device device, int threads,
             int loaders);

  Scores scores() const;

  /// The logarithm of the scale that gives the right labels of each field the highest likelihood, on
  /// augmented training images of the batches from `step` on: those are as hard as unseen images. Training
  /// spreads the probability of an image over all captions that are true of it, which keeps the scale low; a
  /// single label among wrong ones needs a higher one.
  double best_logit_scale(int64_t step, const View& view) const;

 private:
  torch::Tensor encode_captions(const std::vector<int32_t>& concepts) const;
  std::vector<int32_t> concepts_where(const std::vector<size_t>& images, int32_t field) const;
  std::vector<std::optional<bool>> hits(const torch::Tensor& vectors, const std::vector<size_t>& images,
                                        const std::vector<int32_t>& concepts, int64_t k) const;

  const Pack& pack_;
  const Data& data_;
  torch::Device device_;
  int loaders_;
  Towers towers_;
  BatchPass pass_;
};

}  // namespace mii
