#pragma once

#include <torch/torch.h>

#include <string>

#include "train/towers.h"
#include "weights/config.h"

namespace mii {

/// Fresh weights of a report decoder: it begins blind, as what it adds from the image is multiplied by zero.
Parameters initial_report_parameters(const ReportDecoderConfig& config);

/// Copies from a model's text tower what the decoder has of the same size: the embeddings and blocks. Returns
/// how many tensors that were. text_tower: by their published names.
int64_t begin_with_text_tower(const Parameters& text_tower, Parameters& decoder);

/// The report decoder in LibTorch, for training; the same function as mii::ReportDecoder computes.
class ReportLayers {
 public:
  ReportLayers(ReportDecoderConfig config, const Parameters& parameters)
      : config_(std::move(config)), parameters_(parameters) {}

  /// Of the embedding and of each residual branch. The generator draws on the processor; on a device, its own
  /// does.
  struct Dropout {
    double rate = 0;
    at::Generator generator;
  };
  /// tokens: float32 [B, N, image_dim]; ids: int64 [B, T], padded on the right. Returns what logits() takes:
  /// [B, T, width].
  torch::Tensor states(const torch::Tensor& tokens, const torch::Tensor& ids, const Dropout& dropout) const;
  torch::Tensor states(const torch::Tensor& tokens, const torch::Tensor& ids) const {
    return states(tokens, ids, Dropout{});
  }

  /// Of the next token: [..., width] to [..., vocabulary].
  torch::Tensor logits(const torch::Tensor& states) const;

 private:
  const torch::Tensor& p(const std::string& name) const { return parameters_.at("report_decoder." + name); }
  torch::Tensor layer_norm(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor linear(const torch::Tensor& x, const std::string& name) const;
  torch::Tensor attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                          bool causal) const;

  ReportDecoderConfig config_;
  const Parameters& parameters_;
};

}  // namespace mii
