#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "mii/error.h"
#include "mii/head.h"

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

void expect_labels(std::span<const std::string> labels, bool allow_duplicates) {
  if (labels.empty()) throw Error(ErrorCode::invalid_argument, "No labels provided");
  std::unordered_set<std::string_view> seen;
  for (size_t k = 0; k < labels.size(); ++k) {
    if (labels[k].find_first_not_of(" \t\r\n") == std::string::npos)
      throw Error(ErrorCode::invalid_argument, "label " + std::to_string(k + 1) + " is empty");
    if (!seen.insert(labels[k]).second && !allow_duplicates)
      throw Error(ErrorCode::invalid_argument, "label " + std::to_string(k + 1) + " is given twice");
  }
}

void expect_templates(std::span<const std::string> templates) {
  for (size_t t = 0; t < templates.size(); ++t)
    if (places(templates[t]) != 1)
      throw Error(ErrorCode::invalid_argument, "template " + std::to_string(t + 1) + " has " +
                                                   std::to_string(places(templates[t])) +
                                                   " places \"{}\" for the label, expected one");
}

// The mean of unit vectors, normalised again. vectors: `count` rows from `first`.
void mean_direction(const Matrix& vectors, size_t first, size_t count, std::span<float> mean) {
  for (size_t p = first; p < first + count; ++p)
    for (size_t d = 0; d < mean.size(); ++d) mean[d] += vectors.row(p)[d];
  const double norm = std::sqrt(dot(mean, mean));
  for (float& v : mean) v = static_cast<float>(v / norm);
}

}  // namespace

LabelPrompts::LabelPrompts(std::span<const std::string> labels, const ClassifyOptions& options)
    : labels_(labels.begin(), labels.end()), multilabel_(options.multilabel) {
  expect_labels(labels, options.allow_duplicate_labels);
  expect_templates(options.templates);
  if (!options.prompts.empty() && options.prompts.size() != labels_.size())
    throw Error(ErrorCode::invalid_argument, std::to_string(options.prompts.size()) + " prompts for " +
                                                 std::to_string(labels_.size()) + " labels");
  const std::vector<std::string>& prompts = options.prompts.empty() ? labels_ : options.prompts;
  if (options.templates.empty()) texts_ = prompts;
  for (const std::string& prompt : prompts)
    for (std::string text : options.templates)
      texts_.push_back(text.replace(text.find(kPlace), kPlace.size(), prompt));
}

ZeroShotHead LabelPrompts::head(const Matrix& text_vectors, float logit_scale) const {
  if (text_vectors.rows() != texts_.size())
    throw Error(ErrorCode::invalid_argument, std::to_string(text_vectors.rows()) + " vectors for " +
                                                 std::to_string(texts_.size()) + " prompts");
  const size_t each = texts_.size() / labels_.size();
  if (each == 1) return {labels_, text_vectors.clone(), logit_scale, multilabel_};
  Matrix means(labels_.size(), text_vectors.cols());
  for (size_t k = 0; k < labels_.size(); ++k) mean_direction(text_vectors, k * each, each, means.row(k));
  return {labels_, std::move(means), logit_scale, multilabel_};
}

ZeroShotHead::ZeroShotHead(std::vector<std::string> labels, Matrix label_vectors, float logit_scale,
                           bool multilabel)
    : labels_(std::move(labels)),
      label_vectors_(std::move(label_vectors)),
      logit_scale_(logit_scale),
      multilabel_(multilabel) {
  if (labels_.size() != label_vectors_.rows())
    throw Error(ErrorCode::invalid_argument, std::to_string(label_vectors_.rows()) + " vectors for " +
                                                 std::to_string(labels_.size()) + " labels");
}

Matrix ZeroShotHead::score(const Matrix& vectors) const {
  if (vectors.rows() != 0 && vectors.cols() != label_vectors_.cols())
    throw Error(ErrorCode::invalid_argument, "image vectors of " + std::to_string(vectors.cols()) +
                                                 " values, expected " +
                                                 std::to_string(label_vectors_.cols()));
  Matrix scores(vectors.rows(), labels_.size());
  std::vector<double> row(labels_.size());
  for (size_t i = 0; i < scores.rows(); ++i) {
    for (size_t k = 0; k < row.size(); ++k)
      row[k] = logit_scale_ * dot(vectors.row(i), label_vectors_.row(k));
    multilabel_ ? sigmoid(row) : softmax(row);
    std::ranges::transform(row, scores.row(i).begin(), [](double v) { return static_cast<float>(v); });
  }
  return scores;
}

}  // namespace mii
