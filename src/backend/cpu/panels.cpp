#include "backend/cpu/panels.h"

#include <hwy/highway.h>

#include "backend/cpu/parallel.h"

namespace mii {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kSide = 4;
// Units of a row that are moved together: those of a cache line.
constexpr int64_t kLineUnits = 16;

// to[c, r] = from[r, c] of a square of four.
void transpose_square(const uint32_t* from, int64_t from_stride, uint32_t* to, int64_t to_stride) {
  const hn::FixedTag<uint32_t, kSide> d;
  const hn::RepartitionToWide<decltype(d)> pairs;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + from_stride),
             e = hn::LoadU(d, from + 2 * from_stride), f = hn::LoadU(d, from + 3 * from_stride);
  const auto ab_lower = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ab_upper = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ef_lower = hn::BitCast(pairs, hn::InterleaveLower(d, e, f));
  const auto ef_upper = hn::BitCast(pairs, hn::InterleaveUpper(d, e, f));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_lower, ef_lower)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_lower, ef_lower)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_upper, ef_upper)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_upper, ef_upper)), d, to + 3 * to_stride);
}

}  // namespace

void pack_panels(const UnitMatrix& from, int64_t columns, uint32_t* to) {
  const Parts panels{from.out, columns};
  parallel_for(panels.count(), [&](int64_t p) {
    const uint32_t* rows = from.values + panels.begin(p) * from.units;
    uint32_t* panel = to + panels.begin(p) * from.units;
    const Parts lines{from.units, kLineUnits};
    for (int64_t line = 0; line < lines.count(); ++line)
      for (int64_t row = 0; row < columns; row += kSide)
        for (int64_t u = lines.begin(line); u < lines.begin(line) + lines.length(line); u += kSide)
          transpose_square(rows + row * from.units + u, from.units, panel + u * columns + row, columns);
  });
}

}  // namespace mii
