#include "engine/labels.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "mii/error.h"

namespace mii {
namespace {

constexpr std::string_view kPlace = "{}";

size_t places(std::string_view text) {
  size_t count = 0;
  for (size_t at = text.find(kPlace); at != std::string_view::npos;
       at = text.find(kPlace, at + kPlace.size()))
    ++count;
  return count;
}

double dot(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                            [](float x, float y) { return static_cast<double>(x) * y; });
}

void softmax(std::span<double> row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& v : row) sum += v = std::exp(v - largest);
  for (double& v : row) v /= sum;
}

void sigmoid(std::span<double> row) {
  for (double& v : row) v = 1 / (1 + std::exp(-v));
}

}  // namespace

void expect_valid_labels(std::span<const std::string> labels, const ClassifyOptions& options) {
  if (labels.empty()) throw Error(ErrorCode::invalid_argument, "No labels provided");
  std::unordered_set<std::string_view> seen;
  for (size_t k = 0; k < labels.size(); ++k) {
    if (labels[k].find_first_not_of(" \t\r\n") == std::string::npos)
      throw Error(ErrorCode::invalid_argument, "label " + std::to_string(k + 1) + " is empty");
    if (!seen.insert(labels[k]).second && !options.allow_duplicate_labels)
      throw Error(ErrorCode::invalid_argument, "label " + std::to_string(k + 1) + " is given twice");
  }
  for (size_t t = 0; t < options.templates.size(); ++t)
    if (places(options.templates[t]) != 1)
      throw Error(ErrorCode::invalid_argument, "template " + std::to_string(t + 1) + " has " +
                                                   std::to_string(places(options.templates[t])) +
                                                   " places \"{}\" for the label, expected one");
}

std::vector<std::string> prompts(std::span<const std::string> labels,
                                 const std::vector<std::string>& templates) {
  if (templates.empty()) return {labels.begin(), labels.end()};
  std::vector<std::string> all;
  for (const std::string& label : labels)
    for (std::string text : templates) all.push_back(text.replace(text.find(kPlace), kPlace.size(), label));
  return all;
}

Matrix mean_of_prompts(const Matrix& prompt_vectors, size_t labels) {
  const size_t each = prompt_vectors.rows() / labels;
  if (each == 1) return prompt_vectors.clone();
  Matrix means(labels, prompt_vectors.cols());
  for (size_t k = 0; k < labels; ++k) {
    const auto mean = means.row(k);
    for (size_t p = 0; p < each; ++p)
      for (size_t d = 0; d < mean.size(); ++d) mean[d] += prompt_vectors.row(k * each + p)[d];
    const double norm = std::sqrt(dot(mean, mean));
    for (float& v : mean) v = static_cast<float>(v / norm);
  }
  return means;
}

Matrix probabilities(const Matrix& image_vectors, const Matrix& label_vectors, float logit_scale,
                     bool multilabel) {
  Matrix scores(image_vectors.rows(), label_vectors.rows());
  std::vector<double> row(label_vectors.rows());
  for (size_t i = 0; i < scores.rows(); ++i) {
    for (size_t k = 0; k < row.size(); ++k)
      row[k] = logit_scale * dot(image_vectors.row(i), label_vectors.row(k));
    multilabel ? sigmoid(row) : softmax(row);
    std::transform(row.begin(), row.end(), scores.row(i).begin(),
                   [](double v) { return static_cast<float>(v); });
  }
  return scores;
}

}  // namespace mii
