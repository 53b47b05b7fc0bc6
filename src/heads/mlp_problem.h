#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "heads/labelled.h"
#include "heads/mlp.h"
#include "heads/split.h"

namespace mii::heads {

/// What layers are to learn: scores whose loss is small on rows that they do not learn from.
struct MlpProblem {
  enum class Loss {
    softmax,  ///< of each row, over the labels
    sigmoid,  ///< of each label on its own, added up
    squared,  ///< of a value
  };
  Loss loss = Loss::softmax;
  Matrix vectors;                 ///< [n, D]
  Matrix targets;                 ///< [n, K]: 1 where the label holds; a value
  Matrix weights;                 ///< [n, K] of the losses
  std::vector<uint8_t> validate;  ///< [n]: 1 for rows that only tell when to stop
};

/// Of rows `split.fit`, while those held out tell when to stop. balanced: rare labels count as much as
/// others.
MlpProblem mlp_problem(const LabelledVectors& data, const Split& split, bool balanced);

struct TrainedMlp {
  std::vector<MlpLayer> layers;  ///< after the epoch whose loss is smallest
  std::vector<double> losses;    ///< of each epoch: the mean loss of the rows that validate
};

/// Trains layers. Throws Error.
using MlpTrainer = std::function<TrainedMlp(const MlpProblem&)>;

/// For the trainer, which is a program of its own: vectors, targets and weights F32, validate U8 [n, 1];
/// metadata "loss": softmax, sigmoid or squared. Throws Error{io}.
void write_mlp_problem(const MlpProblem& problem, const std::filesystem::path& path);

}  // namespace mii::heads
