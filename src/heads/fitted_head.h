#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "heads/calibration.h"
#include "heads/mlp.h"
#include "heads/operating_points.h"
#include "heads/products.h"
#include "mii/head.h"
#include "mii/identity.h"

namespace mii::heads {

enum class Kind { logistic, ridge, knn, ss_text, lp_plus_plus, mlp };

/// "logistic", "ridge", "knn", "ss-text", "lp++", "mlp"
const char* to_string(Kind kind);
/// Throws Error{invalid_argument} for another name.
Kind parse_kind(std::string_view name);

/// What a head says of a vector.
enum class Answer {
  one,      ///< one of the labels holds
  several,  ///< any number of them
  value,    ///< a number
};

/// Rows that vote: the score of a label is the logarithm of its share among the k nearest by cosine,
/// (votes + 1/K) / (k + 1) where one label holds; where several may, the log odds of (votes + 1/2) / (k + 1).
/// No vote is not taken for a proof.
struct Voters {
  size_t k = 5;
  Matrix vectors;           ///< [n, D], unit vectors
  std::vector<uint8_t> is;  ///< [n, K], 1 where the label holds
  double weight = 1;        ///< of their scores, beside those of the coefficients
};

/// How many rows and patients there were.
struct DataCounts {
  uint64_t rows = 0;
  uint64_t patients = 0;
};

/// What a head was fitted on and how, for its card.
struct FitRecord {
  std::string data;  ///< where the rows come from
  DataCounts fit;
  DataCounts calibration;          ///< rows that the fit did not see; none where nothing was held out
  std::vector<DataCounts> labels;  ///< [K], of the fit's rows
  double c = 0;                    ///< 0 where the kind has none
  uint64_t folds = 0;              ///< 0 where C was given
  uint64_t groups = 0;             ///< that the folds were made of
  DataCounts validation;           ///< of an mlp: the fit's rows that told when to stop
  uint64_t epoch = 0;              ///< of an mlp: after which the layers were taken
  /// Of each C that was tried, or each epoch of an mlp: the mean loss of rows that were not learnt from.
  std::vector<std::pair<double, double>> losses;
  bool balanced = false;
  bool with_texts = false;
  std::vector<std::string> templates;
  uint64_t seed = 0;
  double mean_absolute_error = 0;  ///< of values, in the rows that the fit did not see
  double root_mean_square_error = 0;
  std::vector<std::string> warnings;  ///< a sentence each
};

/// Everything a head consists of.
struct HeadParts {
  Kind kind = Kind::logistic;
  Answer answer = Answer::one;
  std::string field;
  std::vector<std::string> labels;  ///< K; of a value: the field's name
  Rows64 coefficients;  ///< [K, D + 1], the intercept last; no rows where there are only neighbours or layers
  std::optional<Voters> voters;
  std::optional<Mlp> mlp;
  Calibration calibration;
  std::vector<std::vector<OperatingPoint>> points;  ///< of each label, by rising threshold
  Identity identity;                                ///< by what the vectors were made
  FitRecord record;
};

/// Where a probability lies among a label's operating points.
struct Band {
  const char* name;    ///< "negative" below all thresholds, "positive" from the highest on, else "possible"
  std::string points;  ///< the rules that decided: of the threshold above, of the one below, of both
};

/// A head that was fitted to vectors. const methods may run on several threads.
class FittedHead final : public Head {
 public:
  /// Throws Error{invalid_argument} for parts that do not fit each other or are not finite.
  explicit FittedHead(HeadParts parts);

  const HeadParts& parts() const { return parts_; }
  size_t dim() const { return dim_; }

  const std::vector<std::string>& labels() const override { return parts_.labels; }
  /// Calibrated probabilities [n, K]; of a head that answers a value: the value [n, 1].
  Matrix score(const Matrix& vectors) const override;
  /// Before the calibration, [n, K].
  Rows64 raw_scores(const Matrix& vectors) const;

  /// Nothing for a label without operating points.
  std::optional<Band> band(size_t label, float probability) const;

  /// Whether vectors of this making may be scored. Throws Error{invalid_argument}, naming what differs,
  /// unless it is the precision or the program's version alone, which come back as sentences.
  std::vector<std::string> expect_made_alike(const Identity& vectors) const;

 private:
  void add_votes(const Matrix& vectors, Rows64& scores) const;

  HeadParts parts_;
  size_t dim_ = 0;
  Rows64 voters_;  ///< the vectors that vote, [n, D]
};

}  // namespace mii::heads
