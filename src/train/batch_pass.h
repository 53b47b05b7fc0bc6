#pragma once

#include <torch/torch.h>

#include <vector>

#include "train/towers.h"

namespace mii {

/// Both towers over a batch, there and back, in slices that threads compute side by side, each slice from end
/// to end by one thread: so the threads wait for each other twice in a step, and not at every operation.
class BatchPass {
 public:
  /// The parameters must outlive it. threads: 1 on a device that is no CPU.
  BatchPass(const ModelConfig& config, const Parameters& parameters, int threads);

  /// Unit rows [images, embedding_dim] and [texts, embedding_dim], which ask for gradients of their own. For
  /// the arguments see Towers; the texts lie in the processor's memory.
  void forward(const torch::Tensor& pixels, const torch::Tensor& branch_factors, const TextBatch& texts);
  const torch::Tensor& images() const { return images_; }
  const torch::Tensor& texts() const { return texts_; }

  /// Carries the gradients of images() and texts() on to the parameters, which add them to theirs. Equal for
  /// equal numbers of threads.
  void backward();

  /// The images' unit rows, without gradients.
  torch::Tensor encode_images(const torch::Tensor& pixels) const;

 private:
  struct Slice {
    int64_t begin;
    int64_t end;
    torch::Tensor rows;  // with what is needed to go back
  };
  static void run_backward(std::vector<Slice>& slices, const torch::Tensor& gradient);

  const ModelConfig& config_;
  const Parameters& parameters_;
  int threads_;
  std::vector<Parameters> leaves_;                // of each thread: the parameters, with gradients of its own
  std::vector<std::vector<Slice>> image_slices_;  // of each thread
  std::vector<std::vector<Slice>> text_slices_;
  torch::Tensor images_;
  torch::Tensor texts_;
};

}  // namespace mii
