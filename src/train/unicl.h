#pragma once

#include <torch/torch.h>

#include <vector>

namespace mii {

/// Cross entropy along one side of logits float32 [images, texts] (dimension 1: of each image, over its
/// texts) in which every true pair is a positive: the target spreads the probability evenly over the true
/// pairs. truth: uint8 of the same shape, values of mii::Truth. Pairs whose truth is unknown take no part,
/// nor do rows without a true pair. Returns the mean over the other rows.
inline torch::Tensor contrast(const torch::Tensor& logits, const torch::Tensor& truth, int64_t over) {
  const torch::Tensor yes = (truth == 1).to(logits.dtype());
  const torch::Tensor known = logits.masked_fill(truth == 2, -1e9);
  const torch::Tensor positives = yes.sum(over, /*keepdim=*/true);
  const torch::Tensor target = yes / positives.clamp_min(1);
  return -(target * torch::log_softmax(known, over)).sum() / (positives > 0).sum().clamp_min(1);
}

/// Image-text contrast in both directions (UniCL, Yang et al. 2022): the mean of the two cross entropies.
inline torch::Tensor unicl_loss(const torch::Tensor& logits, const torch::Tensor& truth) {
  return (contrast(logits, truth, 1) + contrast(logits, truth, 0)) / 2;
}

/// The mean over the fields of the contrast of each image among the columns of a field; a field without
/// columns adds nothing.
inline torch::Tensor fields_contrast(const torch::Tensor& logits, const torch::Tensor& truth,
                                     const std::vector<std::vector<int64_t>>& fields) {
  torch::Tensor sum = torch::zeros({}, logits.options());
  for (const auto& of_field : fields) {
    if (of_field.empty()) continue;
    const torch::Tensor columns = torch::tensor(of_field, torch::kInt64).to(logits.device());
    sum = sum + contrast(logits.index_select(1, columns), truth.index_select(1, columns), 1);
  }
  return sum / static_cast<double>(fields.size());
}

}  // namespace mii
