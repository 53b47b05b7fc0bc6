#include "heads/fitted_head.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <unordered_set>

#include "mii/error.h"

namespace mii::heads {
namespace {

constexpr std::array<std::pair<const char*, Kind>, 6> kKinds{{{"logistic", Kind::logistic},
                                                              {"ridge", Kind::ridge},
                                                              {"knn", Kind::knn},
                                                              {"ss-text", Kind::ss_text},
                                                              {"lp++", Kind::lp_plus_plus},
                                                              {"mlp", Kind::mlp}}};

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

// Sums of products of such numbers stay finite.
constexpr double kLargest = 1e30;

void expect_finite(std::span<const double> values, const char* what) {
  if (!std::ranges::all_of(values, [](double v) { return std::abs(v) <= kLargest; }))
    refuse(std::string("a head with ") + what + " that are not finite, or beyond 1e30");
}

void expect_labels(const std::vector<std::string>& labels) {
  std::unordered_set<std::string_view> seen;
  if (labels.empty()) refuse("a head without labels");
  for (const std::string& label : labels)
    if (label.empty() || !seen.insert(label).second) refuse("a head with an empty or repeated label");
}

void expect_voters(const Voters& voters, size_t labels) {
  const size_t n = voters.vectors.rows();
  if (n == 0 || voters.vectors.cols() == 0 || voters.is.size() != n * labels)
    refuse("a head whose neighbours do not fit its labels");
  if (voters.k == 0 || voters.k > n)
    refuse("a head that asks " + std::to_string(voters.k) + " of " + std::to_string(n) + " neighbours");
  if (!std::isfinite(voters.weight)) refuse("a head with a weight that is not finite");
  if (!std::ranges::all_of(voters.vectors.values(), [](float v) { return std::isfinite(v); }))
    refuse("a head with neighbours that are not finite");
}

void expect_calibration(const Calibration& calibration, size_t labels) {
  const bool platt = calibration.kind == Calibration::Kind::platt,
             isotonic = calibration.kind == Calibration::Kind::isotonic;
  if (!(calibration.temperature >= 1 / kLargest) || !(calibration.temperature <= kLargest) ||
      calibration.platt.size() != (platt ? labels : 0) ||
      calibration.isotonic.size() != (isotonic ? labels : 0))
    refuse("a head whose calibration does not fit its labels");
  for (const Calibration::Platt& p : calibration.platt)
    expect_finite(std::array<double, 2>{p.slope, p.offset}, "a calibration");
  for (const Calibration::Knots& knots : calibration.isotonic)
    for (size_t i = 0; i < knots.size(); ++i) {
      expect_finite(std::array<double, 2>{knots[i].first, knots[i].second}, "a calibration");
      if (i > 0 && !(knots[i].first > knots[i - 1].first)) refuse("a head whose calibration does not rise");
    }
}

void expect_points(const std::vector<std::vector<OperatingPoint>>& points, size_t labels) {
  if (!points.empty() && points.size() != labels)
    refuse("a head whose operating points do not fit its labels");
  for (const auto& of_label : points) {
    for (const OperatingPoint& point : of_label) {
      expect_finite(std::array{double{point.threshold}}, "operating points");
      if (point.counts.positives() == 0 || point.counts.negatives() == 0)
        refuse("a head with an operating point of no cases");
    }
    if (!std::ranges::is_sorted(of_label, {}, &OperatingPoint::threshold))
      refuse("a head whose operating points are not in the order of their thresholds");
  }
}

void add(const Rows64& more, Rows64& scores) {
  for (size_t i = 0; i < scores.rows(); ++i)
    std::ranges::transform(scores.row(i), more.row(i), scores.row(i).begin(), std::plus<>());
}

// The scores of votes [K] among k.
void add_vote_scores(std::span<const double> votes, const Voters& voters, bool several,
                     std::span<double> scores) {
  const auto k = static_cast<double>(voters.k), labels = static_cast<double>(votes.size());
  for (size_t l = 0; l < votes.size(); ++l) {
    const double share = (votes[l] + (several ? 0.5 : 1 / labels)) / (k + 1);
    scores[l] += voters.weight * (several ? std::log(share / (1 - share)) : std::log(share));
  }
}

}  // namespace

const char* to_string(Kind kind) {
  for (const auto& [name, known] : kKinds)
    if (known == kind) return name;
  return "";
}

Kind parse_kind(std::string_view name) {
  for (const auto& [known, kind] : kKinds)
    if (name == known) return kind;
  throw Error(ErrorCode::invalid_argument, "kind of head '" + std::string(name.substr(0, 40)) +
                                               "', expected logistic, ridge, knn, ss-text, lp++ or mlp");
}

FittedHead::FittedHead(HeadParts parts) : parts_(std::move(parts)) {
  const size_t labels = parts_.labels.size();
  expect_labels(parts_.labels);
  if (parts_.answer == Answer::value && (labels != 1 || parts_.voters)) refuse("a head of several values");
  if (parts_.coefficients.rows() == 0 && !parts_.voters && !parts_.mlp) refuse("a head without coefficients");
  if (parts_.coefficients.rows() != 0) {
    if (parts_.coefficients.rows() != labels || parts_.coefficients.cols() < 2)
      refuse("a head whose coefficients do not fit its labels");
    expect_finite(parts_.coefficients.values(), "coefficients");
    dim_ = parts_.coefficients.cols() - 1;
  }
  if (parts_.voters) {
    expect_voters(*parts_.voters, labels);
    if (dim_ != 0 && dim_ != parts_.voters->vectors.cols()) refuse("a head of vectors of two lengths");
    dim_ = parts_.voters->vectors.cols();
    voters_ = Rows64(parts_.voters->vectors.rows(), dim_);
    for (size_t i = 0; i < voters_.rows(); ++i)
      std::ranges::copy(parts_.voters->vectors.row(i), voters_.row(i).begin());
  }
  if (parts_.mlp) {
    expect_layers(*parts_.mlp, labels);
    if (dim_ != 0 && dim_ != parts_.mlp->dim()) refuse("a head of vectors of two lengths");
    dim_ = parts_.mlp->dim();
  }
  expect_calibration(parts_.calibration, labels);
  expect_points(parts_.points, labels);
}

Rows64 FittedHead::raw_scores(const Matrix& vectors) const {
  if (vectors.rows() != 0 && vectors.cols() != dim_)
    refuse("vectors of " + std::to_string(vectors.cols()) + " values, and a head for " +
           std::to_string(dim_));
  const size_t labels = parts_.labels.size();
  Rows64 scores(vectors.rows(), labels);
  if (vectors.rows() == 0) return scores;
  if (parts_.coefficients.rows() != 0) {
    for_each_scored_block(features_of(vectors), parts_.coefficients, [&](const ScoredBlock& block) {
      for (size_t r = 0; r < block.rows; ++r)
        for (size_t k = 0; k < labels; ++k) scores.row(block.first + r)[k] = block.scores[k * kBlock + r];
    });
  }
  if (parts_.voters) add_votes(vectors, scores);
  if (parts_.mlp) add(mlp_scores(*parts_.mlp, vectors), scores);
  return scores;
}

void FittedHead::add_votes(const Matrix& vectors, Rows64& scores) const {
  const Voters& voters = *parts_.voters;
  const size_t labels = parts_.labels.size(), n = voters_.rows();
  Rows64 queries(vectors.rows(), dim_);
  for (size_t i = 0; i < vectors.rows(); ++i) std::ranges::copy(vectors.row(i), queries.row(i).begin());
  for_each_scored_block(queries, voters_, [&](const ScoredBlock& block) {
    std::vector<std::pair<double, size_t>> near(n);
    std::vector<double> votes(labels);
    for (size_t r = 0; r < block.rows; ++r) {
      for (size_t i = 0; i < n; ++i) near[i] = {-block.scores[i * kBlock + r], i};
      std::ranges::partial_sort(near, near.begin() + static_cast<std::ptrdiff_t>(voters.k));
      std::ranges::fill(votes, 0);
      for (size_t i = 0; i < voters.k; ++i)
        for (size_t l = 0; l < labels; ++l) votes[l] += voters.is[near[i].second * labels + l];
      add_vote_scores(votes, voters, parts_.answer == Answer::several, scores.row(block.first + r));
    }
  });
}

Matrix FittedHead::score(const Matrix& vectors) const {
  Rows64 scores = raw_scores(vectors);
  Matrix answers(scores.rows(), scores.cols());
  for (size_t i = 0; i < scores.rows(); ++i) {
    if (parts_.answer != Answer::value)
      parts_.calibration.apply(scores.row(i), parts_.answer == Answer::several);
    std::ranges::transform(scores.row(i), answers.row(i).begin(),
                           [](double v) { return static_cast<float>(v); });
  }
  return answers;
}

std::optional<Band> FittedHead::band(size_t label, float probability) const {
  if (parts_.points.empty() || parts_.points[label].empty()) return std::nullopt;
  const std::vector<OperatingPoint>& points = parts_.points[label];
  const auto above = std::ranges::upper_bound(points, probability, {}, &OperatingPoint::threshold);
  if (above == points.begin()) return Band{"negative", points.front().rule};
  if (above == points.end()) return Band{"positive", points.back().rule};
  return Band{"possible", above[-1].rule + ", " + above->rule};
}

std::vector<std::string> FittedHead::expect_made_alike(const Identity& vectors) const {
  Identity forgiving = vectors;
  forgiving.precision = parts_.identity.precision;
  forgiving.version = parts_.identity.version;
  if (const auto differences = forgiving.differences_from(parts_.identity); !differences.empty()) {
    std::string sentence = "the head is for vectors of another making: ";
    for (size_t i = 0; i < differences.size(); ++i) sentence += (i == 0 ? "" : "; ") + differences[i];
    refuse(sentence);
  }
  return vectors.differences_from(parts_.identity);
}

}  // namespace mii::heads
