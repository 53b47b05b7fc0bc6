#include "maps/question.h"

#include <algorithm>
#include <functional>

#include "mii/error.h"
#include "mii/explain.h"

namespace mii::maps {
namespace {

[[noreturn]] void refuse(const std::string& sentence) { throw Error(ErrorCode::invalid_argument, sentence); }

Matrix stacked(const Matrix& top, const Matrix& bottom) {
  Matrix both(top.rows() + bottom.rows(), top.cols());
  std::ranges::copy(bottom.values(), std::ranges::copy(top.values(), both.values().begin()).out);
  return both;
}

Matrix first_row(const Matrix& from) {
  Matrix row(1, from.cols());
  std::ranges::copy(from.row(0), row.row(0).begin());
  return row;
}

}  // namespace

Matrix Question::directions() const { return stacked(scored, shown); }

std::vector<std::string> with_versus(std::vector<std::string> labels, const std::string& versus) {
  if (!versus.empty() && std::ranges::find(labels, versus) == labels.end()) labels.push_back(versus);
  return labels;
}

std::vector<std::string> texts_of_others(size_t labels, const labels::Catalogue& catalogue) {
  std::vector<std::string> prompts;
  if (labels != 1) return prompts;
  for (const labels::Concept& named : catalogue.concepts())
    if (named.kind == labels::Kind::modality) prompts.push_back(named.prompt);
  return prompts;
}

Question about_labels(std::vector<std::string> labels, Matrix vectors, const Matrix& others) {
  const bool alone = labels.size() == 1;
  Question question{.labels = std::move(labels),
                    .scored = std::move(vectors),
                    .contrast = alone ? "the catalogue's modalities" : "the mean of the labels"};
  question.intercepts.resize(question.labels.size());
  question.shown =
      alone ? first_row(contrasted(stacked(question.scored, others))) : contrasted(question.scored);
  return question;
}

Question about_head(const heads::FittedHead& head) {
  const heads::HeadParts& parts = head.parts();
  if (parts.voters || parts.mlp)
    throw Error(ErrorCode::unsupported,
                std::string(parts.voters ? "the head's neighbours vote" : "the head has hidden layers") +
                    ", so its scores are no sum over the image; heads of kinds other than knn and mlp have "
                    "such sums");
  Question question{.labels = parts.labels, .scored = Matrix(parts.labels.size(), head.dim())};
  for (size_t k = 0; k < parts.labels.size(); ++k) {
    const std::span<const double> row = parts.coefficients.row(k);
    std::ranges::transform(row.first(head.dim()), question.scored.row(k).begin(),
                           [](double v) { return static_cast<float>(v); });
    question.intercepts.push_back(row[head.dim()]);
  }
  const bool compared = parts.answer == heads::Answer::one && parts.labels.size() > 1;
  question.contrast = compared ? "the mean of the labels" : "nothing";
  question.shown = compared ? contrasted(question.scored) : question.scored.clone();
  return question;
}

Question against(const std::string& versus, const Question& all) {
  const size_t b = static_cast<size_t>(std::ranges::find(all.labels, versus) - all.labels.begin());
  if (b == all.labels.size()) refuse("versus '" + versus + "': there is no such label");
  Question question{.contrast = versus};
  Matrix differences(all.labels.size() - 1, all.scored.cols());
  for (size_t k = 0; k < all.labels.size(); ++k) {
    if (k == b) continue;
    const std::span<float> row = differences.row(question.labels.size());
    std::ranges::transform(all.scored.row(k), all.scored.row(b), row.begin(), std::minus{});
    if (std::ranges::all_of(row, [](float v) { return v == 0; }))
      refuse("'" + all.labels[k] + "' and '" + versus + "' are the same to this model");
    question.labels.push_back(all.labels[k] + " and not " + versus);
    question.intercepts.push_back(all.intercepts[k] - all.intercepts[b]);
  }
  if (question.labels.empty()) refuse("versus '" + versus + "': there is no other label");
  question.shown = differences.clone();
  question.scored = std::move(differences);
  return question;
}

}  // namespace mii::maps
