#include "train/validation.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "train/state.h"

namespace mii {

using torch::Tensor;

namespace {

// Of those that count; NaN when there are none.
double share(const std::vector<std::optional<bool>>& hits) {
  size_t right = 0, counted = 0;
  for (const auto& hit : hits) {
    counted += hit ? 1 : 0;
    right += hit.value_or(false) ? 1 : 0;
  }
  return counted == 0 ? NAN : static_cast<double>(right) / static_cast<double>(counted);
}

}  // namespace

Validation::Validation(const Pack& pack, const Data& data, const Parameters& weights, torch::Device device,
                       int threads, int loaders)
    : pack_(pack),
      data_(data),
      device_(device),
      loaders_(loaders),
      towers_(pack.model, weights),
      pass_(pack.model, weights, threads) {}

Scores Validation::scores() const {
  const torch::NoGradGuard no_gradient;
  std::vector<size_t> images;
  for (size_t i = 0; i < pack_.images.size(); ++i)
    if (pack_.images[i].validation) images.push_back(i);
  Scores scores;
  if (images.empty()) return scores;
  constexpr size_t kImages = 64;
  std::vector<Tensor> parts;
  for (size_t at = 0; at < images.size(); at += kImages) {
    const Tensor pixels = data_.plain(images, at, std::min(at + kImages, images.size()), loaders_);
    parts.push_back(pass_.encode_images(pixels.to(device_)).cpu());
  }
  const Tensor vectors = torch::cat(parts);

  int fields = 0;
  std::vector<int32_t> all;
  for (int32_t field = -1; field < static_cast<int32_t>(pack_.fields.size()); ++field) {
    const auto concepts = concepts_where(images, field);
    all.insert(all.end(), concepts.begin(), concepts.end());
    if (field < 0) continue;  // concepts of several fields
    scores.right.push_back(hits(vectors, images, concepts, 1));
    const double top1 = share(scores.right.back());
    scores.top1.push_back(top1);
    if (std::isnan(top1)) continue;
    scores.mean += top1;
    ++fields;
  }
  scores.mean /= std::max(fields, 1);
  scores.recall1 = share(hits(vectors, images, all, 1));
  scores.recall5 = share(hits(vectors, images, all, 5));
  return scores;
}

double Validation::best_logit_scale(int64_t step, const View& view) const {
  constexpr int64_t kBatches = 16;
  const torch::NoGradGuard no_gradient;
  const std::vector<int32_t>& labels = data_.labels();
  const Tensor texts = encode_captions(labels);
  std::vector<Tensor> cosines, truths;  // of a batch and a field: [images, labels]
  Loader loader(
      data_, [&](int64_t) { return view; }, step, step + kBatches, loaders_, device_);
  for (int64_t b = 0; b < kBatches; ++b) {
    const Batch batch = loader.take();
    const Tensor all = torch::matmul(pass_.encode_images(batch.pixels.to(device_)).cpu(), texts.t());
    for (const auto& of_field : data_.field_labels()) {
      const Tensor columns = torch::tensor(of_field, torch::kInt64);
      const Tensor truth = (batch.label_truth.index_select(1, columns) == 1).to(torch::kFloat32);
      const Tensor rows = truth.sum(1).nonzero().flatten();  // images with a label of the field
      if (rows.numel() == 0) continue;
      cosines.push_back(all.index_select(0, rows).index_select(1, columns));
      truths.push_back(truth.index_select(0, rows));
    }
  }
  const auto loss = [&](double log_scale) {
    double sum = 0;
    for (size_t i = 0; i < cosines.size(); ++i) {
      const Tensor likelihood =
          (torch::softmax(cosines[i] * std::exp(log_scale), 1) * truths[i]).sum(1).clamp_min(1e-12);
      sum -= likelihood.log().mean().item<double>();
    }
    return sum;
  };
  double best = 0;
  for (double at = 0; at < kMaxLogitScale; at += 0.02)
    if (loss(at) < loss(best)) best = at;
  return best;
}

// The plainest caption of each concept: unit rows on the CPU.
Tensor Validation::encode_captions(const std::vector<int32_t>& concepts) const {
  std::vector<const std::vector<int32_t>*> texts;
  for (const int32_t c : concepts) texts.push_back(data_.captions(static_cast<size_t>(c)).front());
  const TextBatch batch = to_text_batch(texts);
  return towers_.encode_texts({batch.ids.to(device_), batch.lengths.to(device_)}).cpu();
}

// Concepts that have a caption and are true of some of the images.
std::vector<int32_t> Validation::concepts_where(const std::vector<size_t>& images, int32_t field) const {
  std::set<int32_t> sets;
  for (const size_t i : images) sets.insert(pack_.images[i].label_set);
  std::vector<int32_t> found;
  for (int32_t c = 0; c < static_cast<int32_t>(pack_.concepts.size()); ++c) {
    if (pack_.concepts[static_cast<size_t>(c)].field != field ||
        data_.captions(static_cast<size_t>(c)).empty())
      continue;
    if (std::ranges::any_of(sets, [&](int32_t l) { return pack_.truth_of(l, c) == Truth::yes; }))
      found.push_back(c);
  }
  return found;
}

// Of each image: whether a concept that is true of it is among its k best; nothing without any true concept.
std::vector<std::optional<bool>> Validation::hits(const Tensor& vectors, const std::vector<size_t>& images,
                                                  const std::vector<int32_t>& concepts, int64_t k) const {
  std::vector<std::optional<bool>> found(images.size());
  if (concepts.empty()) return found;
  const Tensor best = std::get<1>(torch::matmul(vectors, encode_captions(concepts).t())
                                      .topk(std::min<int64_t>(k, static_cast<int64_t>(concepts.size())), 1));
  for (size_t i = 0; i < images.size(); ++i) {
    const auto is_true = [&](int32_t c) {
      return pack_.truth_of(pack_.images[images[i]].label_set, c) == Truth::yes;
    };
    if (std::ranges::none_of(concepts, is_true)) continue;
    found[i] = false;
    for (int64_t r = 0; r < best.size(1) && !*found[i]; ++r)
      found[i] = is_true(concepts[static_cast<size_t>(best[static_cast<int64_t>(i)][r].item<int64_t>())]);
  }
  return found;
}

}  // namespace mii
