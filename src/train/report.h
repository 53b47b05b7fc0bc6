#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace mii {

struct ReportTraining {
  std::filesystem::path problem;  ///< what dataset/report_problem.h describes
  std::filesystem::path out;
  /// A model's weights: the decoder begins with what it has in common with the text tower.
  std::optional<std::filesystem::path> text_tower;
  int64_t epochs = 30;
  int64_t batch = 16;
  double learning_rate = 5e-4;
  double weight_decay = 0.05;
  double warm_up = 0.05;  ///< share of all steps
  double clip_norm = 1;
  double average_decay = 0.998;  ///< of the moving average of the weights, which is what last/ and best/ hold
  double label_smoothing = 0.1;
  double dropout = 0.1;
  uint64_t seed = 1;
  int threads = 0;              ///< 0: all cores
  std::string device = "auto";  ///< auto, cpu, cuda
  bool resume = false;
  bool quiet = false;
  double save_every_s = 300;
};

/// Trains a report decoder on tokens of images that are computed already, with the right words before each
/// (teacher forcing), by AdamW. Writes into options.out:
///   last/, best/     decoders: config.yaml and decoder.safetensors; best by the loss of the validation texts
///   checkpoint/      all state
///   train.tsv        step, epoch, loss, learning rate, gradient norm
///   validation.tsv   after each epoch: step, epoch, loss of a token, perplexity
/// stop() is called after each step; when it returns true, the state is saved and the function returns false.
/// Equal seeds and threads give equal runs on one device, resumed or not. Throws Error.
bool train_report(const ReportTraining& options, const std::function<bool()>& stop);

}  // namespace mii
