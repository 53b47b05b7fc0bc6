#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace mii {

struct HeadTraining {
  std::filesystem::path problem;  ///< what heads::write_mlp_problem wrote
  std::filesystem::path out;      ///< what heads::read_trained_mlp reads
  int64_t hidden = 512;           ///< values between the layers
  int64_t epochs = 100;           ///< at most; ten without a smaller loss end it
  double learning_rate = 3e-4;
  double weight_decay = 0.01;
  uint64_t seed = 1;
  bool quiet = false;
};

/// The adapter of the model's authors: linear, GELU, linear, layer norm, linear, GELU, linear, linear. Their
/// second half are convolutions over one place, of which only the middle is multiplied by anything but zero.
/// Source: github.com/microsoft/healthcareai-examples, package/model_library/embedding.py.
torch::nn::Sequential head_layers(int64_t inputs, int64_t hidden, int64_t outputs);

/// Writes layers of this form, and the loss of each epoch. Throws Error{io}.
void write_head_layers(const torch::nn::Sequential& layers, std::vector<double> losses,
                       const std::filesystem::path& path);

/// Trains on one thread, by AdamW and batches of 32, and writes the layers of the epoch after which the rows
/// that validate had the smallest loss. Equal calls give equal bytes. stop() is called after each step; when
/// it returns true, nothing is written and the function returns false. Throws Error.
bool train_head(const HeadTraining& options, const std::function<bool()>& stop);

}  // namespace mii
