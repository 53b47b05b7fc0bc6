#pragma once

#include <torch/torch.h>

#include <vector>

#include "train/towers.h"

namespace mii {

/// Both towers over a batch, forward and backward, in slices that threads compute side by side. One thread
/// computes a slice from end to end, so that threads wait for each other twice in a step and not at every
/// operation.
class BatchPass {
 public:
  /// The parameters must outlive it. threads: 1 on a device other than a CPU.
  BatchPass(const ModelConfig& config, const Parameters& parameters, int threads);

  /// Unit rows [images, embedding_dim] and [texts, embedding_dim], which require gradients of their own. For
  /// the arguments see Towers; the texts are in the processor's memory.
  void forward(const torch::Tensor& pixels, const torch::Tensor& branch_factors, const TextBatch& texts);
  const torch::Tensor& images() const { return images_; }
  const torch::Tensor& texts() const { return texts_; }

  /// Carries the gradients of images() and texts() on to the parameters and adds them to theirs. Equal for
  /// equal numbers of threads.
  void backward();

  /// The images' unit rows, without gradients.
  torch::Tensor encode_images(const torch::Tensor& pixels) const;

 private:
  struct Slice {
    int64_t begin;
    int64_t end;
    torch::Tensor rows;  // with what the backward pass needs
  };
  static void run_backward(std::vector<Slice>& slices, const torch::Tensor& gradient);

  const ModelConfig& config_;
  const Parameters& parameters_;
  int threads_;
  std::vector<Parameters> leaves_;                // one per thread: the parameters, with gradients of its own
  std::vector<std::vector<Slice>> image_slices_;  // of each thread
  std::vector<std::vector<Slice>> text_slices_;
  torch::Tensor images_;
  torch::Tensor texts_;
};

}  // namespace mii
