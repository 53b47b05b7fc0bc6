#include "heads/operating_points.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "core/number_text.h"
#include "mii/error.h"

namespace mii::heads {
namespace {

Rate wilson(size_t hits, size_t n) {
  constexpr double kZ = 1.959963984540054;
  const double rows = static_cast<double>(n), p = static_cast<double>(hits) / rows, z2 = kZ * kZ / rows;
  const double centre = (p + z2 / 2) / (1 + z2);
  const double half = kZ / (1 + z2) * std::sqrt(p * (1 - p) / rows + z2 / 4 / rows);
  return {p, std::max(centre - half, 0.0), std::min(centre + half, 1.0)};
}

/// What a threshold does.
struct Cut {
  double threshold = 0;
  size_t hits = 0;
  size_t alarms = 0;
};

/// All thresholds that make a difference, the highest first, so that hits and alarms rise.
struct Cuts {
  size_t positives = 0;
  size_t negatives = 0;
  std::vector<Cut> cuts;

  Cuts(std::span<const float> probabilities, const std::vector<bool>& positive) {
    std::vector<size_t> order(probabilities.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, std::greater(), [&](size_t i) { return probabilities[i]; });
    for (size_t i = 0; i < order.size(); ++i) {
      (positive[order[i]] ? positives : negatives) += 1;
      const float p = probabilities[order[i]];
      if (i + 1 == order.size() || probabilities[order[i + 1]] != p)
        cuts.push_back({p, positives, negatives});
    }
  }

  double sensitivity(const Cut& cut) const {
    return static_cast<double>(cut.hits) / static_cast<double>(positives);
  }
  double specificity(const Cut& cut) const {
    return static_cast<double>(negatives - cut.alarms) / static_cast<double>(negatives);
  }

  /// How good a cut is under a rule that weighs hits against alarms.
  double merit(const PointRule& rule, const Cut& cut) const {
    const auto hits = static_cast<double>(cut.hits), alarms = static_cast<double>(cut.alarms),
               misses = static_cast<double>(positives - cut.hits);
    switch (rule.kind) {
      case PointRule::Kind::f1:
        return 2 * hits / (2 * hits + alarms + misses);
      case PointRule::Kind::cost:
        return -(rule.target * misses + alarms);
      default:
        return sensitivity(cut) + specificity(cut) - 1;
    }
  }

  std::optional<Cut> choose(const PointRule& rule) const {
    if (rule.kind == PointRule::Kind::sensitivity) {
      const auto first =
          std::ranges::find_if(cuts, [&](const Cut& cut) { return sensitivity(cut) >= rule.target; });
      return first == cuts.end() ? std::nullopt : std::optional(*first);
    }
    if (rule.kind == PointRule::Kind::specificity) {
      const auto beyond =
          std::ranges::find_if(cuts, [&](const Cut& cut) { return specificity(cut) < rule.target; });
      return beyond == cuts.begin() ? std::nullopt : std::optional(beyond[-1]);
    }
    return *std::ranges::max_element(cuts, {}, [&](const Cut& cut) { return merit(rule, cut); });
  }
};

struct NamedRule {
  const char* name;
  PointRule::Kind kind;
  bool share;   ///< the target lies between 0 and 1
  bool target;  ///< there is one
};
constexpr NamedRule kRules[] = {{"youden", PointRule::Kind::youden, false, false},
                                {"f1", PointRule::Kind::f1, false, false},
                                {"sensitivity", PointRule::Kind::sensitivity, true, true},
                                {"specificity", PointRule::Kind::specificity, true, true},
                                {"cost", PointRule::Kind::cost, false, true}};

}  // namespace

PointRule PointRule::parse(std::string_view text) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const std::string_view number = equals == std::string_view::npos ? "" : text.substr(equals + 1);
  for (const NamedRule& rule : kRules) {
    if (name != rule.name || rule.target == (equals == std::string_view::npos)) continue;
    double target = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), target);
    const bool is_number = error == std::errc() && end == number.data() + number.size();
    if (!rule.target || (is_number && target > 0 && target <= (rule.share ? 1 : 1e9)))
      return {rule.kind, target};
  }
  throw Error(ErrorCode::invalid_argument,
              "operating point '" + std::string(text) +
                  "', expected youden, f1, sensitivity=S or specificity=S with S above 0 and at most 1, "
                  "or cost=R with R above 0");
}

std::string PointRule::name() const {
  for (const NamedRule& rule : kRules)
    if (rule.kind == kind) return rule.name + (rule.target ? "=" + number_text(target) : "");
  return "";
}

std::optional<OperatingPoint> find_point(const PointRule& rule, std::span<const float> probabilities,
                                         const std::vector<bool>& positive) {
  const Cuts cuts(probabilities, positive);
  if (cuts.positives == 0 || cuts.negatives == 0) return std::nullopt;
  const std::optional<Cut> cut = cuts.choose(rule);
  if (!cut || cut->alarms == cuts.negatives) return std::nullopt;
  return OperatingPoint{rule.name(), cut->threshold, wilson(cut->hits, cuts.positives),
                        wilson(cuts.negatives - cut->alarms, cuts.negatives)};
}

}  // namespace mii::heads
