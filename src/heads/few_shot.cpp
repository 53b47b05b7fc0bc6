#include "heads/few_shot.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "heads/cholesky.h"
#include "heads/logistic.h"

namespace mii::heads {
namespace {

// The sum of the rows of each label, without that of the column of ones.
Rows64 sums_of_labels(const Rows64& features, const Truth& truth) {
  Rows64 sums(truth.labels.size(), features.cols());
  for (size_t i = 0; i < features.rows(); ++i)
    for (size_t k = 0; k < truth.labels.size(); ++k)
      if (truth.holds(i, k))
        for (size_t d = 0; d + 1 < features.cols(); ++d) sums.row(k)[d] += features.row(i)[d];
  return sums;
}

Rows64 unit_texts(const Matrix& vectors) {
  Rows64 texts(vectors.rows(), vectors.cols() + 1);
  for (size_t k = 0; k < vectors.rows(); ++k) std::ranges::copy(vectors.row(k), texts.row(k).begin());
  return texts;
}

double norm(std::span<const double> row) {
  return std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
}

// f_i * t_k of every row and text, [n, K].
Rows64 cosines(const Rows64& features, const Rows64& texts) {
  Rows64 found(features.rows(), texts.rows());
  for_each_scored_block(features, texts, [&](const ScoredBlock& block) {
    for (size_t r = 0; r < block.rows; ++r)
      for (size_t k = 0; k < texts.rows(); ++k) found.row(block.first + r)[k] = block.scores[k * kBlock + r];
  });
  return found;
}

// 250 times the mean over labels l and texts k of the mean cosine of label l's rows with text k.
double first_alpha(const Rows64& cosine, const Truth& truth) {
  const auto labels = static_cast<double>(truth.labels.size());
  double mean = 0;
  for (size_t l = 0; l < truth.labels.size(); ++l) {
    double sum = 0;
    for (size_t i = 0; i < cosine.rows(); ++i)
      if (truth.holds(i, l)) sum += std::accumulate(cosine.row(i).begin(), cosine.row(i).end(), 0.0);
    mean += sum / std::max(static_cast<double>(truth.count(l)), 1.0) / labels / labels;
  }
  return 250 * mean;
}

double largest_sum_of_squares(const Rows64& cosine) {
  double largest = 0;
  for (size_t k = 0; k < cosine.cols(); ++k) {
    double sum = 0;
    for (size_t i = 0; i < cosine.rows(); ++i) sum += cosine.row(i)[k] * cosine.row(i)[k];
    largest = std::max(largest, sum);
  }
  return largest;
}

}  // namespace

Rows64 zero_shot_coefficients(const LabelTexts& texts) {
  Rows64 w = unit_texts(texts.vectors);
  for (double& v : w.values()) v *= texts.logit_scale;
  return w;
}

Rows64 fit_ss_text(const Matrix& vectors, const Truth& truth, const LabelTexts& texts, bool balanced) {
  const Rows64 features = features_of(vectors);
  const auto rows = static_cast<double>(features.rows());
  const Rows64 sums = sums_of_labels(features, truth);
  Rows64 w = unit_texts(texts.vectors);
  for (size_t k = 0; k < w.rows(); ++k) {
    const auto count = static_cast<double>(truth.count(k));
    const double lambda = std::max(1 / (balanced ? rows : std::max(count, 1.0)), 1e-3);
    for (size_t d = 0; d < w.cols(); ++d) w.row(k)[d] += sums.row(k)[d] * texts.logit_scale / lambda / rows;
    const double length = norm(w.row(k));
    for (double& v : w.row(k)) v *= texts.logit_scale / length;
  }
  return w;
}

Rows64 fit_lp_plus_plus(const Matrix& vectors, const Truth& truth, const LabelTexts& texts) {
  constexpr size_t kSteps = 300, kAlphaEvery = 10;
  constexpr double kMomentum = 0.9;
  const Rows64 features = features_of(vectors), text = unit_texts(texts.vectors);
  const auto rows = static_cast<double>(features.rows());
  const Rows64 cosine = cosines(features, text);
  Rows64 without_ones(features.rows(), vectors.cols());
  for (size_t i = 0; i < features.rows(); ++i) std::ranges::copy(vectors.row(i), without_ones.row(i).begin());
  const double w_step = 4 * rows / largest_eigenvalue(gram(without_ones));
  const double alpha_step = rows / (4 * largest_sum_of_squares(cosine));

  Rows64 w = sums_of_labels(features, truth), speed(w.rows(), w.cols()), gradient(w.rows(), w.cols());
  std::vector<double> alpha(w.rows(), first_alpha(cosine, truth));
  Rows64 joined(w.rows(), w.cols());
  const auto join = [&] {
    for (size_t k = 0; k < w.rows(); ++k)
      for (size_t d = 0; d < w.cols(); ++d) joined.row(k)[d] = w.row(k)[d] + alpha[k] * text.row(k)[d];
  };
  for (size_t step = 1; step <= kSteps; ++step) {
    join();
    logistic_gradient(features, truth, joined, gradient);
    for (size_t k = 0; k < w.rows(); ++k) {
      double by_alpha = 0;
      for (size_t d = 0; d < w.cols(); ++d) {
        by_alpha += gradient.row(k)[d] / rows * text.row(k)[d];
        speed.row(k)[d] = kMomentum * speed.row(k)[d] + gradient.row(k)[d] / rows;
        w.row(k)[d] -= w_step * speed.row(k)[d];
      }
      if (step % kAlphaEvery == 0) alpha[k] -= alpha_step * by_alpha;
    }
  }
  join();
  return joined;
}

}  // namespace mii::heads
