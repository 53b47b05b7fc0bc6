#include "heads/fit_head.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/number_text.h"
#include "heads/cross_validation.h"
#include "heads/logistic.h"
#include "heads/ridge.h"
#include "mii/error.h"
#include "stats/regression.h"

namespace mii::heads {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

std::string counted(size_t n, const std::string& thing) {
  return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
}

void expect_vectors(const Matrix& vectors) {
  for (size_t i = 0; i < vectors.rows(); ++i)
    if (!std::ranges::all_of(vectors.row(i), [](float v) { return std::isfinite(v); }))
      refuse("vector " + std::to_string(i + 1) + " holds a value that is not finite");
  for (size_t i = 1; i < vectors.rows(); ++i)
    if (!std::ranges::equal(vectors.row(i), vectors.row(0))) return;
  refuse(vectors.rows() < 2
             ? "there are fewer than two images to fit"
             : "all " + std::to_string(vectors.rows()) + " vectors are equal: nothing can be learnt");
}

/// One fit, from data to a head.
class Fit {
 public:
  Fit(const LabelledVectors& data, const LabelTexts* texts, const FitOptions& options)
      : data_(data), texts_(texts), options_(options), regression_(!data.values.empty()) {
    expect_options();
    expect_vectors(data.vectors);
    parts_.kind = options.kind;
    parts_.field = options.field;
    parts_.answer = regression_ ? Answer::value : data.truth.several ? Answer::several : Answer::one;
    parts_.labels = regression_ ? std::vector{options.field} : data.truth.labels;
    groups_ = group_rows(data, options.seed);
    expect_labels();
  }

  FittedHead run(const std::optional<Split>& given, Identity identity) {
    split_ = given ? *given : holds_out() ? hold_out_fifth(groups_) : everything();
    if (given) expect_split();
    if (!given && holds_out() && split_.held_out.empty())
      warn("no patient could be held out: nothing is calibrated");
    parts_.identity = std::move(identity);
    fit();
    if (options_.with_texts) add_texts();
    record();
    if (!split_.held_out.empty()) use_held_out();
    return FittedHead(std::move(parts_));
  }

 private:
  bool holds_out() const {
    return options_.calibration != Calibration::Kind::none || !options_.points.empty();
  }

  Split everything() const {
    Split all;
    for (size_t row = 0; row < data_.vectors.rows(); ++row) all.fit.push_back(row);
    return all;
  }

  void expect_options() const {
    if (options_.kind != Kind::mlp && regression_ != (options_.kind == Kind::ridge))
      refuse(std::string("kind ") + to_string(options_.kind) + " is for a field of " +
             (regression_ ? "labels, not of numbers" : "numbers, not of labels"));
    const bool few_shot = options_.kind == Kind::ss_text || options_.kind == Kind::lp_plus_plus;
    if (few_shot && data_.truth.several)
      refuse(std::string("kind ") + to_string(options_.kind) + " needs a field of one label for each image");
    if (regression_ && options_.with_texts) refuse("numbers have no texts to be joined with");
    if (regression_ && !options_.points.empty()) refuse("numbers have no operating points");
    if (options_.c && !(*options_.c > 0 && std::isfinite(*options_.c))) refuse("C must be above 0");
    if (options_.folds < 2) refuse("cross-validation needs at least 2 folds");
  }

  void expect_labels() {
    const std::string field = "field '" + options_.field + "'";
    if (data_.groups.empty()) refuse(field + " is empty in all rows");
    if (regression_) return;
    const Truth& truth = data_.truth;
    if (truth.labels.size() < (truth.several ? 1 : 2))
      refuse(field + " has one label only, '" + truth.labels.front() + "': expected at least two");
    for (size_t k = 0; k < truth.labels.size(); ++k) {
      if (truth.count(k) == truth.rows()) refuse("label '" + truth.labels[k] + "' holds for all images");
      if (groups_.of_label[k] == 1)
        warn("label '" + truth.labels[k] +
             "' has one patient only: it is fitted, but nothing shows how well it is recognised");
    }
  }

  void expect_split() {
    if (split_.fit.empty() || split_.held_out.empty()) refuse("no row is left to fit, or none to calibrate");
    std::set<size_t> fitted;
    for (const size_t row : split_.fit) fitted.insert(groups_.of_row[row]);
    std::set<size_t> shared;
    for (const size_t row : split_.held_out)
      if (fitted.contains(groups_.of_row[row])) shared.insert(groups_.of_row[row]);
    if (shared.empty()) return;
    const std::string sentence = counted(shared.size(), "patient") + (shared.size() == 1 ? " has" : " have") +
                                 " images in both parts, those that are fitted and those that calibrate";
    if (!options_.allow_shared_patients) refuse(sentence + ": the figures would be too good");
    warn(sentence + ": the figures may be too good");
  }

  void warn(std::string sentence) { parts_.record.warnings.push_back(std::move(sentence)); }

  void fit() {
    const LabelledVectors fitted = data_.some_rows(split_.fit);
    for (size_t k = 0; k < fitted.truth.labels.size(); ++k)
      if (fitted.truth.count(k) == 0) refuse("label '" + fitted.truth.labels[k] + "' has no row to fit");
    switch (options_.kind) {
      case Kind::logistic:
        return fit_logistic_head(fitted);
      case Kind::ridge:
        return fit_ridge_head(fitted);
      case Kind::knn:
        return keep_voters(fitted);
      case Kind::ss_text:
        parts_.coefficients = fit_ss_text(fitted.vectors, fitted.truth, *texts_, options_.balanced);
        return;
      case Kind::lp_plus_plus:
        parts_.coefficients = fit_lp_plus_plus(fitted.vectors, fitted.truth, *texts_);
        return;
      case Kind::mlp:
        return train_layers(fitted);
    }
  }

  // The C that was given, or the best of cross-validation.
  double choose_c(const LabelledVectors& fitted, auto cross_validate) {
    FitRecord& record = parts_.record;
    if (options_.c) return record.c = *options_.c;
    const Groups groups = group_rows(fitted, options_.seed);
    record.folds = std::min(options_.folds, groups.count());
    record.groups = groups.count();
    if (groups.count() < 2) refuse("all images are of one patient: nothing can be held out; give C");
    record.losses = cross_validate(folds_of(groups, record.folds));
    record.c = best_of(record.losses);
    if (record.c == penalties().front() || record.c == penalties().back())
      warn("the best C is the last one that was tried, " + number_text(record.c));
    return record.c;
  }

  void fit_logistic_head(const LabelledVectors& fitted) {
    const Rows64 features = features_of(fitted.vectors);
    const double c = choose_c(fitted, [&](const std::vector<Split>& folds) {
      return cross_validate_logistic(features, fitted.truth, options_.balanced, folds);
    });
    parts_.coefficients = fit_logistic(features, fitted.truth, {.c = c, .balanced = options_.balanced});
  }

  void fit_ridge_head(const LabelledVectors& fitted) {
    const Rows64 features = features_of(fitted.vectors);
    const double c = choose_c(fitted, [&](const std::vector<Split>& folds) {
      return cross_validate_ridge(features, fitted.values, folds);
    });
    parts_.coefficients = fit_ridge(features, fitted.values, c);
  }

  void keep_voters(const LabelledVectors& fitted) {
    Voters voters{.k = std::min(options_.k, fitted.vectors.rows()),
                  .vectors = fitted.vectors.clone(),
                  .is = fitted.truth.is};
    for (size_t i = 0; i < voters.vectors.rows(); ++i) {
      double squares = 0;
      for (const float v : voters.vectors.row(i)) squares += static_cast<double>(v) * v;
      const double norm = std::sqrt(squares);
      for (float& v : voters.vectors.row(i)) v = norm > 0 ? static_cast<float>(v / norm) : 0;
    }
    parts_.voters = std::move(voters);
  }

  void train_layers(const LabelledVectors& fitted) {
    const Groups groups = group_rows(fitted, options_.seed);
    const Split split = hold_out_fifth(groups);
    if (split.held_out.empty()) refuse("no patient can be held out, so that nothing tells when to stop");
    TrainedMlp trained = options_.train_mlp(mlp_problem(fitted, split, options_.balanced));
    if (trained.losses.empty()) refuse("the trainer ended without an epoch");
    FitRecord& record = parts_.record;
    for (size_t i = 0; i < trained.losses.size(); ++i)
      record.losses.emplace_back(static_cast<double>(i + 1), trained.losses[i]);
    record.epoch = static_cast<uint64_t>(best_of(record.losses));
    record.validation = counts(split.held_out, groups);
    parts_.mlp = Mlp{.layers = std::move(trained.layers)};
  }

  // The mean of two heads' scores gives the geometric mean of their probabilities.
  void add_texts() {
    Rows64 joined = zero_shot_coefficients(*texts_);
    Rows64& own = parts_.coefficients;
    for (size_t k = 0; k < joined.rows(); ++k)
      for (size_t d = 0; d < joined.cols(); ++d)
        joined.row(k)[d] = (joined.row(k)[d] + (own.rows() == 0 ? 0 : own.row(k)[d])) / 2;
    own = std::move(joined);
    if (parts_.voters) parts_.voters->weight = 0.5;
    if (parts_.mlp) parts_.mlp->weight = 0.5;
  }

  static DataCounts counts(std::span<const size_t> rows, const Groups& groups) {
    std::set<size_t> patients;
    for (const size_t row : rows) patients.insert(groups.of_row[row]);
    return {rows.size(), patients.size()};
  }

  void record() {
    FitRecord& record = parts_.record;
    record.fit = counts(split_.fit, groups_);
    record.calibration = counts(split_.held_out, groups_);
    record.balanced = options_.balanced;
    record.with_texts = options_.with_texts;
    record.seed = options_.seed;
    record.data = options_.data;
    record.templates = options_.templates;
    for (size_t k = 0; k < data_.truth.labels.size(); ++k) {
      std::vector<size_t> rows;
      for (const size_t row : split_.fit)
        if (data_.truth.holds(row, k)) rows.push_back(row);
      record.labels.push_back(counts(rows, groups_));
    }
  }

  void use_held_out() {
    const LabelledVectors held_out = data_.some_rows(split_.held_out);
    if (regression_) return measure_errors(held_out);
    const Rows64 scores = FittedHead(copy_of_parts()).raw_scores(held_out.vectors);
    parts_.calibration = fit_calibration(options_.calibration, scores, held_out.truth);
    const FittedHead calibrated(copy_of_parts());
    if (all_right(scores, held_out.truth))
      warn("all " + counted(held_out.truth.rows(), "image") +
           " held out are answered rightly: harder ones are needed to tell how far to trust the "
           "probabilities");
    choose_points(calibrated.score(held_out.vectors), held_out.truth);
  }

  static bool all_right(const Rows64& scores, const Truth& truth) {
    if (truth.several) return false;
    for (size_t i = 0; i < scores.rows(); ++i) {
      const auto row = scores.row(i);
      if (!truth.holds(i, static_cast<size_t>(std::ranges::max_element(row) - row.begin()))) return false;
    }
    return true;
  }

  HeadParts copy_of_parts() const {
    HeadParts copy{.kind = parts_.kind,
                   .answer = parts_.answer,
                   .labels = parts_.labels,
                   .coefficients = parts_.coefficients,
                   .mlp = parts_.mlp,
                   .calibration = parts_.calibration};
    if (parts_.voters)
      copy.voters =
          Voters{parts_.voters->k, parts_.voters->vectors.clone(), parts_.voters->is, parts_.voters->weight};
    return copy;
  }

  void measure_errors(const LabelledVectors& held_out) {
    const FittedHead head(copy_of_parts());
    const Matrix values = head.score(held_out.vectors);
    const std::vector<float> truth(held_out.values.begin(), held_out.values.end());
    const stats::RegressionErrors errors = stats::regression_errors(values.values(), truth);
    parts_.record.mean_absolute_error = errors.mae;
    parts_.record.root_mean_square_error = errors.rmse;
  }

  void choose_points(const Matrix& probabilities, const Truth& truth) {
    for (size_t k = 0; k < truth.labels.size(); ++k) {
      const size_t positives = truth.count(k);
      if (positives == 0 || positives == truth.rows())
        warn("label '" + truth.labels[k] + "' holds for " + (positives == 0 ? "none" : "all") + " of the " +
             counted(truth.rows(), "image") + " held out: " +
             (options_.points.empty() ? "its calibration is not its own" : "it has no operating points"));
      if (options_.points.empty()) continue;
      std::vector<float> column;
      std::vector<bool> positive;
      for (size_t i = 0; i < truth.rows(); ++i) {
        column.push_back(probabilities.row(i)[k]);
        positive.push_back(truth.holds(i, k));
      }
      parts_.points.emplace_back();
      for (const PointRule& rule : options_.points) {
        if (auto point = find_point(rule, column, positive))
          parts_.points.back().push_back(*std::move(point));
        else if (positives != 0 && positives != truth.rows())
          warn("label '" + truth.labels[k] + "': no threshold reaches " + rule.name + " in the " +
               counted(truth.rows(), "image") + " held out");
      }
      std::ranges::stable_sort(parts_.points.back(), {}, &OperatingPoint::threshold);
    }
  }

  const LabelledVectors& data_;
  const LabelTexts* texts_;
  const FitOptions& options_;
  bool regression_;
  Groups groups_;
  Split split_;
  HeadParts parts_;
};

}  // namespace

bool needs_texts(const FitOptions& options) {
  return options.with_texts || options.kind == Kind::ss_text || options.kind == Kind::lp_plus_plus;
}

FittedHead fit_head(const LabelledVectors& data, const std::optional<Split>& split, const LabelTexts* texts,
                    const FitOptions& options, Identity identity) {
  if (needs_texts(options) && texts == nullptr)
    throw Error(ErrorCode::internal, "a head from texts, but there are no texts");
  if (options.kind == Kind::mlp && !options.train_mlp)
    throw Error(ErrorCode::internal, "an mlp, but nobody trains it");
  return Fit(data, texts, options).run(split, std::move(identity));
}

}  // namespace mii::heads
