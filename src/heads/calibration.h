#pragma once

#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "heads/labelled.h"
#include "heads/products.h"

namespace mii::heads {

/// How scores (logits) become probabilities that mean what they say. The numbers are float32, so that a text
/// holds them exactly, whoever reads it.
struct Calibration {
  enum class Kind {
    none,         ///< softmax of the scores, or sigmoid of each
    temperature,  ///< of the scores divided by one temperature (Guo et al., ICML 2017)
    platt,        ///< 1 / (1 + exp(slope * s + offset)) of a label's log odds s (Platt 1999)
    isotonic,  ///< a rising step function of the log odds, linear between its knots (Zadrozny and Elkan 2002)
  };
  struct Platt {
    float slope = -1;
    float offset = 0;
  };
  /// Log odds and probability, both rising.
  using Knots = std::vector<std::pair<float, float>>;

  Kind kind = Kind::none;
  float temperature = 1;
  std::vector<Platt> platt;     ///< [K]
  std::vector<Knots> isotonic;  ///< [K]; a label without knots keeps its probability

  /// Scores [K] of a row become probabilities in place. Those of labels of which one holds are made to sum to
  /// 1 again after Platt's and the isotonic method.
  void apply(std::span<double> scores, bool several) const;
};

const char* to_string(Calibration::Kind kind);
/// Throws Error{invalid_argument} for another name.
Calibration::Kind parse_calibration(std::string_view name);

/// From scores [n, K] of rows that the fit did not see. A label that holds for none or all of them keeps its
/// probabilities under Platt's and the isotonic method.
Calibration fit_calibration(Calibration::Kind kind, const Rows64& scores, const Truth& truth);

}  // namespace mii::heads
