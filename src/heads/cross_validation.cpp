#include "heads/cross_validation.h"

#include <algorithm>
#include <array>

#include "heads/logistic.h"
#include "heads/ridge.h"
#include "mii/error.h"

namespace mii::heads {
namespace {

constexpr std::array<double, 10> kPenalties{0.001, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100, 1000};
constexpr double kTolerance = 0.03;  // 5e-4 of the sum of losses over all rows: no C is chosen by less

LossesByC no_losses() {
  LossesByC losses;
  for (const double c : kPenalties) losses.emplace_back(c, 0);
  return losses;
}

/// A fold with those labels that its rows to fit tell apart.
struct Fold {
  Rows64 fit, held_out;
  Truth fit_truth, held_out_truth;

  Fold(const Rows64& features, const Truth& truth, const Split& split) {
    const Truth all = truth.some_rows(split.fit);
    std::vector<size_t> labels;
    for (size_t k = 0; k < truth.labels.size(); ++k)
      if (const size_t count = all.count(k); count > 0 && count < all.rows()) labels.push_back(k);
    std::vector<size_t> rows;
    for (const size_t row : split.held_out)
      if (truth.several || std::ranges::find(labels, truth.label_of(row)) != labels.end())
        rows.push_back(row);
    fit = some_rows(features, split.fit);
    held_out = some_rows(features, rows);
    fit_truth = all.some_labels(labels);
    held_out_truth = truth.some_rows(rows).some_labels(labels);
  }

  bool usable() const { return fit_truth.labels.size() > (fit_truth.several ? 0 : 1) && held_out.rows() > 0; }
};

void divide(LossesByC& losses, size_t rows) {
  if (rows == 0)
    throw Error(
        ErrorCode::invalid_argument,
        "the rows do not suffice for cross-validation: in no fold are there two labels to fit; give C");
  for (auto& [c, loss] : losses) loss /= static_cast<double>(rows);
}

}  // namespace

std::span<const double> penalties() { return kPenalties; }

LossesByC cross_validate_logistic(const Rows64& features, const Truth& truth, bool balanced,
                                  std::span<const Split> folds) {
  LossesByC losses = no_losses();
  size_t rows = 0;
  for (const Split& split : folds) {
    const Fold fold(features, truth, split);
    if (!fold.usable()) continue;
    Rows64 w;
    for (auto& [c, loss] : losses) {
      w = fit_logistic(fold.fit, fold.fit_truth, {.c = c, .balanced = balanced, .tolerance = kTolerance}, w);
      loss += logistic_loss(fold.held_out, fold.held_out_truth, w);
    }
    rows += fold.held_out.rows();
  }
  divide(losses, rows);
  return losses;
}

LossesByC cross_validate_ridge(const Rows64& features, std::span<const double> values,
                               std::span<const Split> folds) {
  LossesByC losses = no_losses();
  size_t rows = 0;
  const auto some = [&](std::span<const size_t> chosen) {
    std::vector<double> found;
    for (const size_t row : chosen) found.push_back(values[row]);
    return found;
  };
  for (const Split& split : folds) {
    if (split.fit.empty() || split.held_out.empty()) continue;
    const Rows64 fit = some_rows(features, split.fit), held_out = some_rows(features, split.held_out);
    for (auto& [c, loss] : losses)
      loss += squared_errors(held_out, some(split.held_out), fit_ridge(fit, some(split.fit), c));
    rows += split.held_out.size();
  }
  divide(losses, rows);
  return losses;
}

double best_of(const LossesByC& losses) {
  return std::ranges::min_element(losses, {}, &std::pair<double, double>::second)->first;
}

}  // namespace mii::heads
