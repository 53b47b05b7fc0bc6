#include "heads/calibration.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "mii/error.h"

namespace mii::heads {
namespace {

constexpr std::array<std::pair<const char*, Calibration::Kind>, 4> kKinds{
    {{"none", Calibration::Kind::none},
     {"temperature", Calibration::Kind::temperature},
     {"platt", Calibration::Kind::platt},
     {"isotonic", Calibration::Kind::isotonic}}};

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

double log_sum_exp(std::span<const double> z) {
  const double largest = *std::ranges::max_element(z);
  double sum = 0;
  for (const double v : z) sum += std::exp(v - largest);
  return largest + std::log(sum);
}

void probabilities(std::span<double> z, double temperature, bool several) {
  for (double& v : z) v /= temperature;
  const double log_sum = several ? 0 : log_sum_exp(z);
  for (double& v : z) v = several ? sigmoid(v) : std::exp(v - log_sum);
}

// The logarithm of p / (1 - p) of each label.
void log_odds(std::span<double> z, bool several) {
  if (several || z.size() == 1) return;
  const std::vector<double> all(z.begin(), z.end());
  std::vector<double> others(all.size() - 1);
  for (size_t k = 0; k < z.size(); ++k) {
    std::copy(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k), others.begin());
    std::copy(all.begin() + static_cast<std::ptrdiff_t>(k) + 1, all.end(),
              others.begin() + static_cast<std::ptrdiff_t>(k));
    z[k] = all[k] - log_sum_exp(others);
  }
}

void make_sum_one(std::span<double> p) {
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& v : p) v = sum > 0 ? v / sum : 1 / static_cast<double>(p.size());
}

double interpolate(const Calibration::Knots& knots, double s) {
  const auto above = std::ranges::upper_bound(knots, s, {}, &std::pair<float, float>::first);
  if (above == knots.begin()) return knots.front().second;
  if (above == knots.end()) return knots.back().second;
  const auto [x0, y0] = std::pair<double, double>(above[-1]);
  const auto [x1, y1] = std::pair<double, double>(*above);
  return y0 + (y1 - y0) * (s - x0) / (x1 - x0);
}

/// A label's log odds in the calibration rows, and where it holds.
struct Outcomes {
  std::vector<float> odds;
  std::vector<bool> holds;
  size_t positives() const { return static_cast<size_t>(std::ranges::count(holds, true)); }
  bool both() const { return positives() > 0 && positives() < holds.size(); }
};

std::vector<Outcomes> outcomes_of(const Rows64& scores, const Truth& truth) {
  std::vector<Outcomes> labels(scores.cols());
  std::vector<double> row(scores.cols());
  for (size_t i = 0; i < scores.rows(); ++i) {
    std::ranges::copy(scores.row(i), row.begin());
    log_odds(row, truth.several);
    for (size_t k = 0; k < row.size(); ++k) {
      labels[k].odds.push_back(static_cast<float>(row[k]));
      labels[k].holds.push_back(truth.holds(i, k));
    }
  }
  return labels;
}

// The derivative of the loss by the inverse temperature: it rises, and is 0 at the best one.
double slope_at(double inverse, const Rows64& scores, const Truth& truth) {
  double slope = 0;
  std::vector<double> p(scores.cols());
  for (size_t i = 0; i < scores.rows(); ++i) {
    std::ranges::copy(scores.row(i), p.begin());
    probabilities(p, 1 / inverse, truth.several);
    for (size_t k = 0; k < p.size(); ++k) slope += scores.row(i)[k] * (p[k] - (truth.holds(i, k) ? 1 : 0));
  }
  return slope;
}

float fit_temperature(const Rows64& scores, const Truth& truth) {
  constexpr int kSteps = 60;
  double low = std::log(1 / 100.0), high = std::log(100.0);  // of the inverse temperature
  for (int step = 0; step < kSteps; ++step) {
    const double middle = (low + high) / 2;
    (slope_at(std::exp(middle), scores, truth) < 0 ? low : high) = middle;
  }
  return static_cast<float>(std::exp(-(low + high) / 2));
}

// Newton's method on Platt's loss. Source: Lin, Lin and Weng, Machine Learning 68 (2007).
Calibration::Platt fit_platt(const Outcomes& label) {
  const auto positives = static_cast<double>(label.positives());
  const double negatives = static_cast<double>(label.holds.size()) - positives;
  const double target_yes = (positives + 1) / (positives + 2), target_no = 1 / (negatives + 2);
  const auto loss = [&](double slope, double offset) {
    double sum = 0;
    for (size_t i = 0; i < label.odds.size(); ++i) {
      const double z = slope * label.odds[i] + offset, target = label.holds[i] ? target_yes : target_no;
      sum += target * z + std::max(-z, 0.0) + std::log1p(std::exp(-std::abs(z)));
    }
    return sum;
  };
  double slope = 0, offset = std::log((negatives + 1) / (positives + 1)), now = loss(slope, offset);
  for (int step = 0; step < 100; ++step) {
    double g1 = 0, g2 = 0, h11 = 1e-12, h22 = 1e-12, h12 = 0;
    for (size_t i = 0; i < label.odds.size(); ++i) {
      const double s = label.odds[i], p = sigmoid(-(slope * s + offset));
      const double difference = (label.holds[i] ? target_yes : target_no) - p, curvature = p * (1 - p);
      g1 += s * difference;
      g2 += difference;
      h11 += s * s * curvature;
      h12 += s * curvature;
      h22 += curvature;
    }
    const double determinant = h11 * h22 - h12 * h12;
    const double slope_step = (h22 * g1 - h12 * g2) / determinant,
                 offset_step = (h11 * g2 - h12 * g1) / determinant;
    double part = 1;
    for (; part > 1e-10; part /= 2) {
      const double then = loss(slope - part * slope_step, offset - part * offset_step);
      if (!(then < now)) continue;
      slope -= part * slope_step;
      offset -= part * offset_step;
      now = then;
      break;
    }
    if (part <= 1e-10) break;
  }
  return {static_cast<float>(slope), static_cast<float>(offset)};
}

// The pool-adjacent-violators algorithm: neighbours whose shares fall are joined to their mean.
Calibration::Knots fit_isotonic(const Outcomes& label) {
  struct Pool {
    float first, last;  // log odds
    double yes, rows;
    double share() const { return yes / rows; }
  };
  std::vector<size_t> order(label.odds.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](size_t i) { return label.odds[i]; });
  std::vector<Pool> points;
  for (const size_t i : order) {
    const float s = label.odds[i];
    if (points.empty() || points.back().last != s) points.push_back({s, s, 0, 0});
    points.back().yes += label.holds[i] ? 1 : 0;
    points.back().rows += 1;
  }
  std::vector<Pool> pools;
  for (Pool pool : points) {
    while (!pools.empty() && pools.back().share() >= pool.share()) {
      pool = {pools.back().first, pool.last, pools.back().yes + pool.yes, pools.back().rows + pool.rows};
      pools.pop_back();
    }
    pools.push_back(pool);
  }
  Calibration::Knots knots;
  for (const Pool& pool : pools) {
    const auto share = static_cast<float>(pool.share());
    knots.emplace_back(pool.first, share);
    if (pool.last != pool.first) knots.emplace_back(pool.last, share);
  }
  return knots;
}

}  // namespace

void Calibration::apply(std::span<double> scores, bool several) const {
  if (kind == Kind::none || kind == Kind::temperature) return probabilities(scores, temperature, several);
  log_odds(scores, several);
  for (size_t k = 0; k < scores.size(); ++k) {
    if (kind == Kind::platt)
      scores[k] = sigmoid(-(platt[k].slope * scores[k] + platt[k].offset));
    else
      scores[k] = isotonic[k].empty() ? sigmoid(scores[k]) : interpolate(isotonic[k], scores[k]);
  }
  if (!several) make_sum_one(scores);
}

const char* to_string(Calibration::Kind kind) {
  for (const auto& [name, known] : kKinds)
    if (known == kind) return name;
  return "none";
}

Calibration::Kind parse_calibration(std::string_view name) {
  for (const auto& [known, kind] : kKinds)
    if (name == known) return kind;
  throw Error(ErrorCode::invalid_argument,
              "calibration '" + std::string(name) + "', expected temperature, platt, isotonic or none");
}

Calibration fit_calibration(Calibration::Kind kind, const Rows64& scores, const Truth& truth) {
  Calibration calibration{.kind = kind};
  if (kind == Calibration::Kind::none) return calibration;
  if (kind == Calibration::Kind::temperature) {
    calibration.temperature = fit_temperature(scores, truth);
    return calibration;
  }
  for (const Outcomes& label : outcomes_of(scores, truth)) {
    if (kind == Calibration::Kind::platt)
      calibration.platt.push_back(label.both() ? fit_platt(label) : Calibration::Platt());
    else
      calibration.isotonic.push_back(label.both() ? fit_isotonic(label) : Calibration::Knots());
  }
  return calibration;
}

}  // namespace mii::heads
