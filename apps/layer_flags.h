#pragma once

#include <CLI/CLI.hpp>

#include "heads/mlp_problem.h"

namespace mii {

/// How the hidden layers of a head are trained.
struct LayerFlags {
  size_t hidden = 512;
  size_t epochs = 100;
  double learning_rate = 3e-4;
  double weight_decay = 0.01;

  void add_to(CLI::App& command);

  /// Thrown by the trainer when it was interrupted.
  struct Interrupted {};

  /// Runs mii-train for each problem. Throws Error{unsupported} where there is none.
  heads::MlpTrainer trainer(uint64_t seed, bool quiet) const;
};

}  // namespace mii
