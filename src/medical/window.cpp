#include "medical/window.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "mii/error.h"

namespace mii {
namespace {

constexpr double kWhite = 255;
// Integer frames with at most so many different values are mapped by a table of them.
constexpr int64_t kMaxTable = 1 << 17;

void expect_valid(const VoiWindow& window) {
  const double least = window.function == VoiFunction::linear ? 1 : std::numeric_limits<double>::min();
  if (!std::isfinite(window.center) || !std::isfinite(window.width) || window.width < least)
    throw Error(ErrorCode::invalid_argument,
                "a window of width " + std::to_string(window.width) + ", expected " +
                    (window.function == VoiFunction::linear ? "at least 1" : "more than 0"));
}

double spread(double value, double low, double high) {
  if (!(high > low)) return 0;
  // Halves: the whole difference of two doubles may be infinite.
  return std::clamp((value / 2 - low / 2) / (high / 2 - low / 2), 0.0, 1.0) * kWhite;
}

// Grey of a real value, not floored; `stored` is the value before the rescale.
struct Mapper {
  const GreyFrame& frame;

  double operator()(const VoiWindow& window, double, double value) const { return windowed(value, window); }

  double operator()(const ValueRange& range, double, double value) const {
    return spread(value, range.low, range.high);
  }

  double operator()(const LookupTable& table, double, double value) const {
    const double last = static_cast<double>(table.entries.size() - 1);
    const double index = std::clamp(std::floor(value) - table.first, 0.0, last);
    const double most = static_cast<double>((1u << table.bits) - 1);
    return std::min(1.0, table.entries[static_cast<size_t>(index)] / most) * kWhite;
  }

  double operator()(const StoredRange&, double stored, double) const {
    const double low = frame.is_signed ? -std::ldexp(1.0, frame.bits_stored - 1) : 0;
    return spread(stored, low, low + std::ldexp(1.0, frame.bits_stored) - 1);
  }
};

// NaN, which differences of infinite values are, is no value: it is black.
uint8_t finished(double grey, bool inverted) {
  if (std::isnan(grey)) return 0;
  const auto floored = static_cast<uint8_t>(std::clamp(std::floor(grey), 0.0, kWhite));
  return inverted ? static_cast<uint8_t>(255 - floored) : floored;
}

uint8_t grey_of_integer(const GreyFrame& frame, const Mapping& mapping, int32_t stored) {
  const double value = frame.slope * stored + frame.intercept;
  if (frame.is_padding(stored) || std::isnan(value)) return 0;
  const double grey = std::visit([&](const auto& m) { return Mapper{frame}(m, stored, value); }, mapping);
  return finished(grey, frame.inverted);
}

std::vector<uint8_t> render_integers(const GreyFrame& frame, const Mapping& mapping) {
  std::vector<uint8_t> grey(frame.integers.size());
  if (grey.empty()) return grey;
  int32_t low = frame.integers.front(), high = low;
  for (const int32_t stored : frame.integers) {  // two plain reductions, which the compiler vectorises
    low = std::min(low, stored);
    high = std::max(high, stored);
  }
  const int64_t first = low, count = int64_t{high} - low + 1;
  if (count > kMaxTable || count > static_cast<int64_t>(grey.size())) {
    std::ranges::transform(frame.integers, grey.begin(),
                           [&](int32_t stored) { return grey_of_integer(frame, mapping, stored); });
    return grey;
  }
  std::vector<uint8_t> table(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    table[static_cast<size_t>(i)] = grey_of_integer(frame, mapping, static_cast<int32_t>(first + i));
  std::ranges::transform(frame.integers, grey.begin(),
                         [&](int32_t stored) { return table[static_cast<size_t>(stored - first)]; });
  return grey;
}

}  // namespace

double windowed(double value, const VoiWindow& window) {
  const double c = window.center, w = window.width;
  switch (window.function) {
    case VoiFunction::linear:
      if (value <= c - 0.5 - (w - 1) / 2) return 0;
      if (value > c - 0.5 + (w - 1) / 2) return kWhite;
      return ((value - (c - 0.5)) / (w - 1) + 0.5) * kWhite;
    case VoiFunction::linear_exact:
      if (value <= c - w / 2) return 0;
      if (value > c + w / 2) return kWhite;
      return ((value - c) / w + 0.5) * kWhite;
    case VoiFunction::sigmoid:
      return kWhite / (1 + std::exp(-4 * (value - c) / w));
  }
  return 0;
}

std::vector<uint8_t> render(const GreyFrame& frame, const Mapping& mapping) {
  if (const auto* window = std::get_if<VoiWindow>(&mapping)) expect_valid(*window);
  if (!frame.integers.empty()) return render_integers(frame, mapping);
  std::vector<uint8_t> grey(frame.reals.size());
  std::ranges::transform(frame.reals, grey.begin(), [&](double value) -> uint8_t {
    if (std::isnan(value)) return 0;
    const double mapped = std::visit([&](const auto& m) { return Mapper{frame}(m, value, value); }, mapping);
    return finished(mapped, frame.inverted);
  });
  return grey;
}

}  // namespace mii
