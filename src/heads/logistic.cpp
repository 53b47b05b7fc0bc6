#include "heads/logistic.h"

#include <lbfgs.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "heads/cholesky.h"
#include "mii/error.h"

namespace mii::heads {
namespace {

/// The loss of rows of scores, and its derivative by them. The scores are those of the labels from `first`.
class Loss {
 public:
  Loss(const Truth& truth, bool softmax, size_t first = 0)
      : truth_(truth), softmax_(softmax), first_(first), yes_(truth.labels.size() - first, 1.0), no_(yes_) {}

  void balance() {
    const LabelWeights weights = balanced_weights(truth_, !softmax_);
    for (size_t k = 0; k < yes_.size(); ++k) {
      yes_[k] = weights.yes[first_ + k];
      no_[k] = weights.no[first_ + k];
    }
  }

  size_t scores() const { return yes_.size(); }

  /// Overwrites the scores by the derivative; returns the sum of the losses.
  double differentiate(const ScoredBlock& block) const {
    double sum = 0;
    for (size_t r = 0; r < block.rows; ++r) sum += softmax_ ? softmax_row(block, r) : sigmoid_row(block, r);
    return sum;
  }

  /// Weight * p * (1 - p), the mean over the labels: the curvature of the loss of a row.
  double curvature(const ScoredBlock& block, size_t r) const {
    double sum = 0;
    const double log_sum = softmax_ ? log_sum_exp(block, r) : 0;
    for (size_t k = 0; k < scores(); ++k) {
      const double z = block.scores[k * kBlock + r];
      const double p = softmax_ ? std::exp(z - log_sum) : 1 / (1 + std::exp(-z));
      sum += weight(block.first + r, k) * p * (1 - p);
    }
    return sum / static_cast<double>(scores());
  }

 private:
  double weight(size_t row, size_t k) const {
    if (softmax_) return yes_[truth_.label_of(row)];
    return truth_.holds(row, first_ + k) ? yes_[k] : no_[k];
  }

  double log_sum_exp(const ScoredBlock& block, size_t r) const {
    double largest = block.scores[r], sum = 0;
    for (size_t k = 1; k < scores(); ++k) largest = std::max(largest, block.scores[k * kBlock + r]);
    for (size_t k = 0; k < scores(); ++k) sum += std::exp(block.scores[k * kBlock + r] - largest);
    return largest + std::log(sum);
  }

  double softmax_row(const ScoredBlock& block, size_t r) const {
    const size_t label = truth_.label_of(block.first + r);
    const double log_sum = log_sum_exp(block, r), factor = yes_[label];
    const double loss = factor * (log_sum - block.scores[label * kBlock + r]);
    for (size_t k = 0; k < scores(); ++k) {
      double& z = block.scores[k * kBlock + r];
      z = factor * (std::exp(z - log_sum) - (k == label ? 1 : 0));
    }
    return loss;
  }

  double sigmoid_row(const ScoredBlock& block, size_t r) const {
    double loss = 0;
    for (size_t k = 0; k < scores(); ++k) {
      const bool holds = truth_.holds(block.first + r, first_ + k);
      double& z = block.scores[k * kBlock + r];
      const double against = holds ? -z : z;  // loss = log(1 + exp(against))
      const double factor = holds ? yes_[k] : no_[k];
      loss += factor * (std::max(against, 0.0) + std::log1p(std::exp(-std::abs(against))));
      z = (holds ? -factor : factor) / (1 + std::exp(-against));
    }
    return loss;
  }

  const Truth& truth_;
  bool softmax_;
  size_t first_;
  std::vector<double> yes_, no_;  ///< weights of rows of which a label holds, or not
};

bool binary(const Truth& truth) { return !truth.several && truth.labels.size() == 2; }

Loss loss_of(const Truth& truth) {
  return binary(truth) ? Loss(truth, false, 1) : Loss(truth, !truth.several);
}

/// The objective over coordinates v of the coefficients w^T = v^T * L^-1, with L * L^T close to the Hessian.
class Problem {
 public:
  Problem(const Rows64& features, const Loss& loss, double c, double tolerance)
      : features_(features),
        loss_(loss),
        c_(c),
        tolerance_(tolerance),
        gradient_(loss.scores(), features.cols()) {}

  /// Moves the coefficients towards the minimum. Returns false when no step is left and it was not reached.
  bool minimise(Rows64& w, size_t steps) {
    factors_ = cholesky(hessian(w));
    const Rows64& inverse = factors_.inverse;
    turned_inverse_ = Rows64(inverse.rows(), inverse.cols());
    for (size_t i = 0; i < inverse.rows(); ++i)
      for (size_t j = 0; j < inverse.cols(); ++j) turned_inverse_.row(j)[i] = inverse.row(i)[j];

    const size_t n = w.values().size();
    const std::unique_ptr<double[], decltype(&lbfgs_free)> v(lbfgs_malloc(static_cast<int>(n)), lbfgs_free);
    if (!v) throw std::bad_alloc();
    std::ranges::copy(product(w, factors_.lower).values(), v.get());
    lbfgs_parameter_t parameters;
    lbfgs_parameter_init(&parameters);
    parameters.m = 20;
    parameters.epsilon = 0;  // progressed() says when to stop
    parameters.max_iterations = static_cast<int>(steps);
    reached_ = false;
    lbfgs(static_cast<int>(n), v.get(), nullptr, evaluate, progressed, this, &parameters);
    w = coefficients(v.get());
    return reached_;
  }

  /// Whether rounding allows no better: the objective is known to about 1e-13 of itself.
  bool as_good_as_rounding_allows() const { return 0.5 * norm_ * norm_ < 1e-11 * (1 + value_); }
  size_t evaluations() const { return evaluations_; }

 private:
  Rows64 hessian(const Rows64& w) const {
    std::vector<double> factors(features_.rows());
    for_each_scored_block(features_, w, [&](const ScoredBlock& block) {
      for (size_t r = 0; r < block.rows; ++r)
        factors[block.first + r] = c_ * std::max(loss_.curvature(block, r), 1e-6);
    });
    Rows64 sum = gram(features_, factors);
    for (size_t d = 0; d + 1 < sum.cols(); ++d) sum.row(d)[d] += 1;
    return sum;
  }

  Rows64 coefficients(const double* v) const {
    Rows64 coordinates(gradient_.rows(), gradient_.cols());
    std::copy_n(v, coordinates.values().size(), coordinates.values().data());
    return product(coordinates, factors_.inverse);
  }

  double evaluate(const double* v, double* to) {
    ++evaluations_;
    const Rows64 w = coefficients(v);
    double value = c_ * add_up_blocks(
                            features_, w,
                            [&](const ScoredBlock& block) { return loss_.differentiate(block); }, gradient_);
    double squares = 0;
    for (size_t k = 0; k < w.rows(); ++k) {
      for (size_t d = 0; d < w.cols(); ++d) {
        const double penalised = d + 1 < w.cols() ? w.row(k)[d] : 0;
        squares += penalised * penalised;
        gradient_.row(k)[d] = c_ * gradient_.row(k)[d] + penalised;
      }
    }
    std::ranges::copy(product(gradient_, turned_inverse_).values(), to);
    return value + squares / 2;
  }

  static double evaluate(void* self, const double* v, double* gradient, int /*n*/, double /*step*/) {
    return static_cast<Problem*>(self)->evaluate(v, gradient);
  }

  static int progressed(void* self, const double* /*v*/, const double* /*gradient*/, double value,
                        double /*v_norm*/, double norm, double /*step*/, int /*n*/, int /*step_number*/,
                        int /*evaluations*/) {
    auto& problem = *static_cast<Problem*>(self);
    problem.value_ = value;
    problem.norm_ = norm;
    problem.reached_ = norm <= problem.tolerance_;
    return problem.reached_ ? 1 : 0;
  }

  const Rows64& features_;
  const Loss& loss_;
  double c_;
  double tolerance_;
  Cholesky factors_;
  Rows64 turned_inverse_;
  Rows64 gradient_;
  double value_ = 0, norm_ = HUGE_VAL;
  bool reached_ = false;
  size_t evaluations_ = 0;
};

void expect_two_sides(const Truth& truth) {
  for (size_t k = 0; k < truth.labels.size(); ++k) {
    const size_t count = truth.count(k);
    if (count == 0 || count == truth.rows())
      throw Error(ErrorCode::invalid_argument,
                  "label '" + truth.labels[k] + "' holds for " + (count == 0 ? "none" : "all") + " of the " +
                      std::to_string(truth.rows()) + " rows: nothing can be fitted");
  }
}

Rows64 rows_of(const Rows64& from, size_t first, size_t count, size_t into, size_t rows) {
  Rows64 to(rows, from.cols());
  for (size_t k = 0; k < count; ++k) std::ranges::copy(from.row(first + k), to.row(into + k).begin());
  return to;
}

}  // namespace

Rows64 fit_logistic(const Rows64& features, const Truth& truth, const LogisticOptions& options,
                    const Rows64& start) {
  expect_two_sides(truth);
  Loss loss = loss_of(truth);
  if (options.balanced) loss.balance();
  const size_t labels = truth.labels.size(), first = labels - loss.scores();
  Rows64 w = start.rows() == 0 ? Rows64(loss.scores(), features.cols())
                               : rows_of(start, first, loss.scores(), 0, loss.scores());
  Problem problem(features, loss, options.c, options.tolerance);
  constexpr size_t kSteps = 40;  // with the curvature as it was found
  bool reached = false;
  for (size_t done = 0; done < options.max_steps && !reached; done += kSteps) {
    reached = problem.minimise(w, kSteps);
    if (problem.as_good_as_rounding_allows() && !reached) break;
  }
  if (!reached && !problem.as_good_as_rounding_allows())
    throw Error(ErrorCode::invalid_argument,
                "the fit did not reach its minimum in " + std::to_string(options.max_steps) + " steps");
  return rows_of(w, 0, loss.scores(), first, labels);
}

double logistic_loss(const Rows64& features, const Truth& truth, const Rows64& coefficients) {
  Rows64 unused(coefficients.rows(), features.cols());
  return logistic_gradient(features, truth, coefficients, unused);
}

double logistic_gradient(const Rows64& features, const Truth& truth, const Rows64& coefficients,
                         Rows64& gradient) {
  const Loss loss(truth, !truth.several);
  return add_up_blocks(
      features, coefficients, [&](const ScoredBlock& block) { return loss.differentiate(block); }, gradient);
}

}  // namespace mii::heads
