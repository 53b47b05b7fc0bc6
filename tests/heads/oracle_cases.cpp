#include "heads/oracle_cases.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "core/file.h"
#include "heads/calibration.h"
#include "heads/few_shot.h"
#include "heads/fitted_head.h"
#include "heads/logistic.h"
#include "heads/operating_points.h"
#include "heads/ridge.h"

namespace mii::heads {
namespace {

namespace json = boost::json;
using Table = std::vector<std::vector<double>>;

// What is promised: coefficients to 1e-5, probabilities to 1e-6, of which scores are float32 where they are
// stored.
constexpr double kCoefficients = 1e-5, kProbabilities = 1e-6;

Table table(const json::value& rows) { return json::value_to<Table>(rows); }

Matrix matrix(const Table& rows) {
  Matrix m(rows.size(), rows.front().size());
  for (size_t i = 0; i < rows.size(); ++i)
    std::ranges::transform(rows[i], m.row(i).begin(), [](double v) { return static_cast<float>(v); });
  return m;
}

Rows64 rows64(const Table& rows) {
  Rows64 m(rows.size(), rows.front().size());
  for (size_t i = 0; i < rows.size(); ++i) std::ranges::copy(rows[i], m.row(i).begin());
  return m;
}

Truth truth_of(const json::object& c, bool several) {
  Truth truth{.several = several};
  const Table holds = table(c.at("holds"));
  for (size_t k = 0; k < holds.front().size(); ++k) truth.labels.push_back("label " + std::to_string(k));
  for (const auto& row : holds)
    for (const double v : row) truth.is.push_back(static_cast<uint8_t>(v));
  return truth;
}

double worst(const auto& found, const Table& expected) {
  double largest = found.rows() == expected.size() ? 0 : HUGE_VAL;
  for (size_t i = 0; i < std::min(found.rows(), expected.size()); ++i) {
    if (found.cols() != expected[i].size()) return HUGE_VAL;
    for (size_t k = 0; k < expected[i].size(); ++k)
      largest = std::max(largest, std::abs(static_cast<double>(found.row(i)[k]) - expected[i][k]));
  }
  return largest;
}

/// Answers cases one by one.
class Cases {
 public:
  void answer(const json::object& c) {
    name_ = std::to_string(++number_) + " " + std::string(c.at("kind").as_string());
    const auto& kind = c.at("kind").as_string();
    if (kind == "logistic") logistic(c);
    if (kind == "ridge") ridge(c);
    if (kind == "knn") knn(c);
    if (kind == "few-shot") few_shot(c);
    if (kind == "calibration") calibration(c);
    if (kind == "points") points(c);
  }

  std::vector<Difference> differences;

 private:
  void note(const std::string& what, double worst, double allowed) {
    differences.push_back({name_ + ": " + what, worst, allowed});
  }

  void logistic(const json::object& c) {
    const Truth truth = truth_of(c, c.at("several").as_bool());
    const Matrix x = matrix(table(c.at("x")));
    const LogisticOptions options{.c = c.at("C").to_number<double>(), .balanced = c.at("balanced").as_bool()};
    HeadParts parts{.answer = truth.several ? Answer::several : Answer::one,
                    .labels = truth.labels,
                    .coefficients = fit_logistic(features_of(x), truth, options)};
    note("coefficients", worst(parts.coefficients, table(c.at("coefficients"))), kCoefficients);
    note("probabilities", worst(FittedHead(std::move(parts)).score(x), table(c.at("probabilities"))),
         kProbabilities);
  }

  void ridge(const json::object& c) {
    const auto values = json::value_to<std::vector<double>>(c.at("values"));
    const Rows64 w = fit_ridge(features_of(matrix(table(c.at("x")))), values, c.at("C").to_number<double>());
    note("coefficients", worst(w, table(c.at("coefficients"))), kCoefficients);
  }

  void knn(const json::object& c) {
    const Truth truth = truth_of(c, false);
    HeadParts parts{.kind = Kind::knn, .labels = truth.labels};
    parts.voters = Voters{c.at("k").to_number<size_t>(), matrix(table(c.at("x"))), truth.is};
    const FittedHead head(std::move(parts));
    note("probabilities", worst(head.score(matrix(table(c.at("queries")))), table(c.at("probabilities"))),
         kProbabilities);
  }

  void few_shot(const json::object& c) {
    const Truth truth = truth_of(c, false);
    const Matrix x = matrix(table(c.at("x")));
    const LabelTexts texts{matrix(table(c.at("texts"))), c.at("logit_scale").to_number<double>()};
    note("SS-Text", worst(fit_ss_text(x, truth, texts, false), with_intercept(c.at("ss_text"))),
         kCoefficients);
    note("SS-Text, balanced", worst(fit_ss_text(x, truth, texts, true), with_intercept(c.at("balanced"))),
         kCoefficients);
    note("LP++", worst(fit_lp_plus_plus(x, truth, texts), table(c.at("lp_plus_plus"))), kCoefficients);
  }

  static Table with_intercept(const json::value& rows) {
    Table w = table(rows);
    for (auto& row : w) row.push_back(0);
    return w;
  }

  void calibration(const json::object& c) {
    const Truth truth = truth_of(c, true);
    const Rows64 scores = rows64(table(c.at("x")));
    const double temperature = fit_calibration(Calibration::Kind::temperature, scores, truth).temperature;
    note("temperature", std::abs(temperature - c.at("temperature").to_number<double>()), 1e-6);
    for (const auto kind : {Calibration::Kind::platt, Calibration::Kind::isotonic}) {
      const Calibration fitted = fit_calibration(kind, scores, truth);
      Rows64 probabilities = scores;
      for (size_t i = 0; i < scores.rows(); ++i) fitted.apply(probabilities.row(i), true);
      note(to_string(kind), worst(probabilities, table(c.at(to_string(kind)))), kProbabilities);
    }
  }

  void points(const json::object& c) {
    const Matrix p = matrix(table(c.at("x")));
    const Truth truth = truth_of(c, true);
    std::vector<bool> positive;
    for (size_t i = 0; i < p.rows(); ++i) positive.push_back(truth.holds(i, 0));
    const auto thresholds = json::value_to<std::vector<double>>(c.at("thresholds"));
    const Table rates = table(c.at("rates"));
    for (size_t i = 0; i < thresholds.size(); ++i) {
      const std::string rule(c.at("rules").as_array()[i].as_string());
      const auto point = find_point(PointRule::parse(rule), p.values(), positive);
      note(rule,
           !point ? HUGE_VAL
                  : std::max({std::abs(point->threshold - thresholds[i]),
                              std::abs(point->sensitivity().value - rates[i][0]),
                              std::abs(point->specificity().value - rates[i][1])}),
           1e-7);
    }
  }

  size_t number_ = 0;
  std::string name_;
};

}  // namespace

std::vector<Difference> differences_from_oracle(const std::filesystem::path& file) {
  Cases cases;
  const json::value all = json::parse(read_text_file(file, 1 << 26));
  for (const json::value& c : all.as_array()) cases.answer(c.as_object());
  return std::move(cases.differences);
}

}  // namespace mii::heads
