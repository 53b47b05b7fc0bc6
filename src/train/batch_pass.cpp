#include "train/batch_pass.h"

#include <algorithm>

#include "train/threads.h"

namespace mii {

using torch::Tensor;

namespace {

// With this many small images the activations stay in the core's cache; with this many texts, padding is
// short.
constexpr int64_t kSliceImages = 16, kSliceTexts = 24;

// [0, total) in slices that are dealt to the threads in turn, the same number to each.
template <typename Slice>
std::vector<std::vector<Slice>> cut(int64_t total, int threads, int64_t slice_size) {
  const int64_t each = (total + threads * slice_size - 1) / (threads * slice_size);
  const int64_t count = std::min(each * threads, total);
  std::vector<std::vector<Slice>> slices(static_cast<size_t>(threads));
  for (int64_t i = 0; i < count; ++i)
    slices[static_cast<size_t>(i % threads)].push_back({total * i / count, total * (i + 1) / count, {}});
  return slices;
}

template <typename Slices>
Tensor joined(const Slices& slices) {
  std::vector<Tensor> rows;
  for (size_t i = 0; i < slices.front().size(); ++i)
    for (const auto& of_thread : slices)
      if (i < of_thread.size()) rows.push_back(of_thread[i].rows.detach());
  return torch::cat(rows);
}

}  // namespace

BatchPass::BatchPass(const ModelConfig& config, const Parameters& parameters, int threads)
    : config_(config), parameters_(parameters), threads_(threads), leaves_(static_cast<size_t>(threads)) {
  for (Parameters& leaves : leaves_)
    for (const auto& [name, value] : parameters)
      leaves.emplace(name, value.detach().set_requires_grad(value.requires_grad()));
}

void BatchPass::forward(const Tensor& pixels, const Tensor& branch_factors, const TextBatch& texts) {
  const int64_t images = pixels.size(0), count = texts.ids.size(0);
  image_slices_ = cut<Slice>(images, threads_, pixels.is_cpu() ? kSliceImages : images);
  text_slices_ = cut<Slice>(count, threads_, pixels.is_cpu() ? kSliceTexts : count);
  on_threads(threads_, [&](size_t t) {
    const Towers towers(config_, leaves_[t]);
    for (Slice& s : image_slices_[t])
      s.rows =
          towers.encode_images(pixels.slice(0, s.begin, s.end),
                               branch_factors.defined() ? branch_factors.slice(1, s.begin, s.end) : Tensor());
    for (Slice& s : text_slices_[t]) {
      const Tensor lengths = texts.lengths.slice(0, s.begin, s.end);
      const Tensor ids = texts.ids.slice(0, s.begin, s.end).slice(1, 0, lengths.max().item<int64_t>());
      s.rows = towers.encode_texts({ids.to(pixels.device()), lengths.to(pixels.device())});
    }
  });
  images_ = joined(image_slices_).requires_grad_();
  texts_ = joined(text_slices_).requires_grad_();
}

void BatchPass::run_backward(std::vector<Slice>& slices, const Tensor& gradient) {
  for (; !slices.empty(); slices.pop_back()) {
    const Slice& s = slices.back();
    if (s.rows.requires_grad()) s.rows.backward(gradient.slice(0, s.begin, s.end));
  }
}

void BatchPass::backward() {
  on_threads(threads_, [&](size_t t) {
    run_backward(text_slices_[t], texts_.grad());
    run_backward(image_slices_[t], images_.grad());
  });
  const torch::NoGradGuard no_gradient;
  for (const auto& [name, value] : parameters_) {
    for (Parameters& leaves : leaves_) {
      Tensor& gradient = leaves.at(name).mutable_grad();
      if (!gradient.defined()) continue;
      Tensor& sum = value.mutable_grad();
      sum = sum.defined() ? sum.add_(gradient) : gradient;
      gradient = Tensor();
    }
  }
}

Tensor BatchPass::encode_images(const Tensor& pixels) const {
  const torch::NoGradGuard no_gradient;
  auto slices = cut<Slice>(pixels.size(0), threads_, pixels.size(0));
  on_threads(threads_, [&](size_t t) {
    const Towers towers(config_, parameters_);
    for (Slice& s : slices[t]) s.rows = towers.encode_images(pixels.slice(0, s.begin, s.end));
  });
  return joined(slices);
}

}  // namespace mii
