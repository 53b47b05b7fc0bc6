#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "dataset/pack.h"

namespace mii {

/// Which weights learn.
enum class Trained { all, text_tower, projections };

/// The rule by which matrices learn. automatic: Muon for fresh weights, AdamW for fine-tuning.
enum class Optimizer { automatic, adamw, muon };

struct TrainOptions {
  std::filesystem::path pack;
  std::filesystem::path out;
  std::optional<std::filesystem::path> start_weights;  ///< safetensors; fresh weights when absent
  Trained trained = Trained::all;
  Optimizer optimizer = Optimizer::automatic;
  int64_t epochs = 12;
  int64_t batch = 64;
  double learning_rate = 5e-4;
  double weight_decay = 0.05;
  double warm_up = 0.05;  ///< share of all steps
  double drop_path = 0.05;
  double clip_norm = 1;
  double average_decay = 0.998;  ///< of the moving average of the weights, which is what last/ and best/ hold
  double label_weight = 1;       ///< weight of the contrast among the labels of a field; the captions' is 1
  double class_weight = 1;       ///< the same with a free vector instead of each label's text
  double start = 1;              ///< share of the images' sides and of the augmentation to begin with
  double augmentation = 1;       ///< View::strength once it has grown, 0 to 1
  double end = 1;                ///< share of augmentation to end with
  double balance = 0.5;          ///< see train/balance.h: 1 draws images as they are, 0 all values alike
  uint64_t seed = 1;
  int threads = 0;              ///< for arithmetic; 0: all cores
  int loaders = 1;              ///< threads that augment
  std::string device = "auto";  ///< auto, cpu, cuda
  bool resume = false;
  bool calibrate = false;  ///< fit the temperature to single labels at the end (Guo et al. 2017)
  bool quiet = false;
  double save_every_s = 300;
  int64_t validate_every = 1;  ///< epochs; the last is always validated
};

/// Trains, writing into options.out:
///   last/, best/       model folders in the published layout (weights averaged); best by validation
///   checkpoint/        all state, in parts of at most 15 MiB
///   train.tsv          step, epoch, images, loss, learning rate, temperature, gradient norm, images a second
///   validation.tsv     after each validation: top-1 of each field, recall@1 and @5; with start_weights also
///                      before the first step, as epoch 0
///   comparison.tsv     with start_weights and validation images: the mean top-1 of last/ and best/ less that
///                      of the model that training began with, and its 95 % interval
/// stop() is called after each step; when it returns true, the state is saved and the function returns false.
/// Throws Error.
bool train(const TrainOptions& options, const std::function<bool()>& stop);

}  // namespace mii
