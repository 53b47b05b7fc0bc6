#pragma once

#include <optional>
#include <vector>

#include "heads/few_shot.h"
#include "heads/fitted_head.h"
#include "heads/labelled.h"
#include "heads/mlp_problem.h"
#include "heads/split.h"

namespace mii::heads {

struct FitOptions {
  Kind kind = Kind::logistic;
  std::string field;
  /// Of logistic and ridge; absent: chosen by cross-validation.
  std::optional<double> c;
  size_t folds = 5;
  /// logistic, mlp: rare labels count as much as others. ss-text: lambda_k = 1/N.
  bool balanced = false;
  size_t k = 5;          ///< knn: neighbours that vote
  MlpTrainer train_mlp;  ///< mlp: who trains it; a fifth of the patients that it is given tells when to stop
  /// The geometric mean of the head's probabilities and those of the labels' texts.
  bool with_texts = false;
  Calibration::Kind calibration = Calibration::Kind::temperature;
  std::vector<PointRule> points;
  uint64_t seed = 1;
  /// Rows of one patient may be in both parts of a split that is given.
  bool allow_shared_patients = false;
  std::string data;                    ///< for the card: where the rows come from
  std::vector<std::string> templates;  ///< for the card: the texts' prompts
};

/// Whether the kind begins from the labels' texts, or they are asked for.
bool needs_texts(const FitOptions& options);

/// Fits, calibrates and chooses operating points.
///   split: which rows are fitted, and which calibration and points (of a value: the error) come from;
///   absent:
///     a fifth of the patients is held out where there is something to do with it
///   texts: of truth.labels; null where they are not needed
///   identity: by what the vectors were made
/// Throws Error{invalid_argument} for data that no head can be fitted to, with a sentence; what is merely
/// worth knowing stands in parts().record.warnings.
FittedHead fit_head(const LabelledVectors& data, const std::optional<Split>& split, const LabelTexts* texts,
                    const FitOptions& options, Identity identity);

}  // namespace mii::heads
