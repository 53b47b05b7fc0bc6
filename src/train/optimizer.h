#pragma once

#include <torch/torch.h>

#include <string>

#include "train/state.h"

namespace mii {

/// The rule by which matrices learn; everything else learns by AdamW (Loshchilov and Hutter 2019).
enum class MatrixRule {
  adamw,
  muon,  ///< Jordan et al. 2024: the momentum with all its singular values near one
};

struct OptimizerOptions {
  MatrixRule matrices = MatrixRule::adamw;
  double weight_decay = 0.05;
  double clip_norm = 1;          ///< of all gradients together
  double average_decay = 0.998;  ///< of the moving average
};

/// Whether a weight multiplies vectors: true for linear layers, projections and convolutions that mix
/// channels; false for embeddings, depthwise convolutions, norms and biases.
bool is_matrix(const std::string& name, const torch::Tensor& value);

/// The moments that a weight needs for learning, set to zero.
void add_moments(const std::string& name, MatrixRule rule, TrainState& state);

/// For each of x, [matrices, rows, columns]: the matrix with the same singular vectors and singular values
/// near one (0.7 to 1.2), by five steps of a Newton-Schulz iteration.
torch::Tensor orthogonalised(const torch::Tensor& x);

/// One step: clips the gradients of those weights that have a first moment, changes them and their moving
/// average, and drops the gradients. The rate is AdamW's; matrices that learn by Muon have forty times
/// it. Returns the norm of the gradients before clipping.
double update(TrainState& state, const OptimizerOptions& options, double rate, int threads);

}  // namespace mii
