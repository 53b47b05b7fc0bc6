#pragma once

#include <torch/torch.h>

namespace mii {

/// Image-text contrast in both directions in which every true pair is a positive (UniCL, Yang et al. 2022):
/// for an image, the probability over the texts is to be spread evenly over those that are true of it, and
/// the other way round. Pairs of which nobody knows take no part. logits float32 [images, texts]; truth uint8
/// of the same shape, values of mii::Truth, with at least one yes in each row; a text that is true of none of
/// the images is only a wrong answer. Returns the mean of the two cross entropies.
inline torch::Tensor unicl_loss(const torch::Tensor& logits, const torch::Tensor& truth) {
  const torch::Tensor yes = (truth == 1).to(logits.dtype());
  const torch::Tensor known = logits.masked_fill(truth == 2, -1e9);
  const auto one_way = [&](int64_t over) {
    const torch::Tensor positives = yes.sum(over, /*keepdim=*/true);
    const torch::Tensor target = yes / positives.clamp_min(1);
    return -(target * torch::log_softmax(known, over)).sum() / (positives > 0).sum();
  };
  return (one_way(1) + one_way(0)) / 2;
}

}  // namespace mii
