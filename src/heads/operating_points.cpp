#include "heads/operating_points.h"

#include <algorithm>
#include <charconv>

#include "mii/error.h"

namespace mii::heads {
namespace {

using stats::Cut;

// How good a cut is under a rule that weighs hits against false alarms.
double merit(const PointRule& rule, const stats::BinaryCounts& counts) {
  const auto hits = static_cast<double>(counts.true_positives),
             misses = static_cast<double>(counts.false_negatives),
             alarms = static_cast<double>(counts.false_positives);
  switch (rule.kind) {
    case PointRule::Kind::f1:
      return 2 * hits / (2 * hits + alarms + misses);
    case PointRule::Kind::cost:
      return -(rule.target * misses + alarms);
    default:
      return counts.sensitivity() + counts.specificity() - 1;
  }
}

// cuts: from the highest threshold, so that sensitivity rises and specificity falls.
std::optional<Cut> choose(const PointRule& rule, std::span<const Cut> cuts) {
  if (rule.kind == PointRule::Kind::sensitivity) {
    const auto first =
        std::ranges::find_if(cuts, [&](const Cut& cut) { return cut.counts.sensitivity() >= rule.target; });
    return first == cuts.end() ? std::nullopt : std::optional(*first);
  }
  if (rule.kind == PointRule::Kind::specificity) {
    const auto beyond =
        std::ranges::find_if(cuts, [&](const Cut& cut) { return cut.counts.specificity() < rule.target; });
    return beyond == cuts.begin() ? std::nullopt : std::optional(beyond[-1]);
  }
  return *std::ranges::max_element(cuts, {}, [&](const Cut& cut) { return merit(rule, cut.counts); });
}

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
      return {rule.kind, target, std::string(text)};
  }
  throw Error(ErrorCode::invalid_argument,
              "operating point '" + std::string(text) +
                  "', expected youden, f1, sensitivity=S or specificity=S with S above 0 and at most 1, "
                  "or cost=R with R above 0");
}

std::optional<OperatingPoint> find_point(const PointRule& rule, std::span<const float> probabilities,
                                         const std::vector<bool>& positive) {
  const std::vector<Cut> cuts = stats::RankedScores(probabilities, positive).cuts();
  const stats::BinaryCounts& none = cuts.front().counts;  // the first cut calls no row positive
  if (none.positives() == 0 || none.negatives() == 0) return std::nullopt;
  const std::optional<Cut> cut = choose(rule, std::span(cuts).subspan(1));
  if (!cut || cut->counts.true_negatives == 0) return std::nullopt;
  return OperatingPoint{rule.name, cut->threshold, cut->counts};
}

}  // namespace mii::heads
