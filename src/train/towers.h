#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "train/random.h"
#include "weights/checkpoint.h"
#include "weights/config.h"

namespace mii {

/// Every weight of a model under its published name; gradients flow into those that are trained.
using Parameters = std::map<std::string, torch::Tensor>;

/// Fresh weights: truncated normal for linear layers, of variance 1 / inputs, and for embeddings (0.02),
/// fan-out normal for convolutions, ones and zeros for norms and biases, logit_scale ln(1/0.07).
Parameters initial_parameters(const ModelConfig& config, int64_t vocabulary_size);

/// One of them.
torch::Tensor initial_value(const TensorSpec& spec);

/// Drop path (Huang et al. 2016): the factors [branches, images] of each residual branch of each image. They
/// are zero at a rate that grows with depth from 0 to `rate`, and otherwise such that the mean is kept.
torch::Tensor drop_path_factors(const ModelConfig& config, int64_t images, double rate, Random& random);

/// A batch of texts, padded on the right.
struct TextBatch {
  torch::Tensor ids;      ///< int64 [texts, longest]
  torch::Tensor lengths;  ///< int64 [texts]
};

/// Both towers in LibTorch, for training; the same function as mii::Davit and mii::TextTransformer compute.
class Towers {
 public:
  Towers(ModelConfig config, const Parameters& parameters)
      : config_(std::move(config)), parameters_(parameters) {}

  /// pixels float32 [images, 3, height, width], normalised; returns unit rows [images, embedding_dim].
  /// branch_factors float32 [residual branches, images], see drop_path_factors; undefined outside training.
  torch::Tensor encode_images(const torch::Tensor& pixels, const torch::Tensor& branch_factors = {}) const;

  /// From what the last stage cuts its patches from, [images, height, width, channels], to the same rows.
  torch::Tensor encode_patches_of(const torch::Tensor& x) const;

  /// Returns unit rows [texts, embedding_dim].
  torch::Tensor encode_texts(const TextBatch& texts) const;

 private:
  const torch::Tensor& p(const std::string& name) const { return parameters_.at(name); }
  torch::Tensor layer_norm(const torch::Tensor& x, const std::string& name, double epsilon) const;
  torch::Tensor linear(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor compute_stage(size_t stage, torch::Tensor x, const torch::Tensor& branch_factors,
                              int64_t& branch) const;
  torch::Tensor pool(const torch::Tensor& x) const;
  torch::Tensor norm_before_patches(size_t stage, const torch::Tensor& x) const;
  torch::Tensor embed_patches(size_t stage, const torch::Tensor& x) const;
  torch::Tensor convolve(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor window_attention(const torch::Tensor& x, const std::string& name,
                                 const StageConfig& stage) const;
  torch::Tensor channel_attention(const torch::Tensor& x, const std::string& name,
                                  const StageConfig& stage) const;
  torch::Tensor block(torch::Tensor x, const std::string& name, const StageConfig& stage, bool spatial,
                      const torch::Tensor& factors) const;

  ModelConfig config_;
  const Parameters& parameters_;
};

/// x + depthwise 3x3 convolution of x, zero padding of 1: x [images, height, width, channels], weight
/// [channels, 1, 3, 3], bias [channels]. On a CPU in float32 by a kernel of our own, forward and backward.
torch::Tensor add_depthwise_conv(const torch::Tensor& x, const torch::Tensor& weight,
                                 const torch::Tensor& bias);

}  // namespace mii
