#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/tensor.h"
#include "train/towers.h"
#include "weights/checkpoint.h"

namespace mii {

/// Name of the free label vectors [labels, embedding_dim]. They learn as the weights do but are not part of
/// the model.
constexpr const char* kLabelVectors = "label_vectors";

constexpr double kMaxLogitScale = 4.6052;  ///< ln(100), as CLIP

/// Everything a run needs to resume as if it had never stopped.
struct TrainState {
  int64_t step = 0;
  double best = 0;  ///< validation score of the best epoch
  Parameters parameters;
  Parameters average;        ///< moving average of the parameters
  Parameters first_moment;   ///< first moments of the weights that learn
  Parameters second_moment;  ///< second moments of those that learn by AdamW
};

/// Writes into folder in parts of at most 15 MiB (or one tensor), which appear together. The fingerprint
/// identifies the run.
void write_state(const TrainState& state, const std::filesystem::path& folder,
                 const std::string& fingerprint);

/// Throws Error{io} when there is none, Error{corrupt_weights} when it is damaged or of another model than
/// `like`, Error{invalid_argument} when it belongs to a run with other options.
TrainState read_state(const std::filesystem::path& folder, const std::string& fingerprint,
                      const TrainState& like);

/// A tensor as float32.
torch::Tensor tensor_of(const TensorView& view);

/// Writes these tensors as float32.
void save_parameters(const Parameters& parameters, const std::vector<TensorSpec>& specs,
                     const std::filesystem::path& file);

/// The weights of a safetensors file in the published naming, as float32. Throws Error{corrupt_weights}.
Parameters load_parameters(const std::filesystem::path& file, const ModelConfig& config,
                           int64_t vocabulary_size);

/// Writes them as float32 in the published naming.
void save_parameters(const Parameters& parameters, const ModelConfig& config, int64_t vocabulary_size,
                     const std::filesystem::path& file);

/// While it lives, LibTorch computes matrix products in bfloat16 where that is faster (CUDA).
class MixedPrecision {
 public:
  explicit MixedPrecision(torch::Device device);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;

 private:
  bool on_;
};

}  // namespace mii
