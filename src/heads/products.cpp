#include "heads/products.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "heads/products.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef MII_HEADS_ADD_PRODUCT
#define MII_HEADS_ADD_PRODUCT
namespace mii::heads {

constexpr size_t kPadding = 16;  // values: two of the widest registers that are used

/// c [M, N] += a [M, K] * b [K, N]; N is a multiple of kPadding. a is read at [m * a_row + k * a_col].
struct AddProduct {
  size_t m = 0, n = 0, k = 0;
  const double* a = nullptr;
  size_t a_row = 0, a_col = 0;
  const double* b = nullptr;
  size_t b_row = 0;
  double* c = nullptr;
  size_t c_row = 0;
};

}  // namespace mii::heads
#endif

HWY_BEFORE_NAMESPACE();
namespace mii::heads {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Tag = hn::CappedTag<double, kPadding / 2>;

// kRows rows of c, two registers wide, stay in registers for the whole sum over k.
template <size_t kRows>
HWY_INLINE void add_tile(const AddProduct& p, size_t row, size_t col) {
  const Tag d;
  const size_t lanes = hn::Lanes(d);
  using V = hn::Vec<Tag>;
  V left[kRows], right[kRows];
  double* c = p.c + row * p.c_row + col;
  for (size_t i = 0; i < kRows; ++i) {
    left[i] = hn::LoadU(d, c + i * p.c_row);
    right[i] = hn::LoadU(d, c + i * p.c_row + lanes);
  }
  const double* a = p.a + row * p.a_row;
  const double* b = p.b + col;
  for (size_t k = 0; k < p.k; ++k, a += p.a_col, b += p.b_row) {
    const V b_left = hn::LoadU(d, b), b_right = hn::LoadU(d, b + lanes);
    for (size_t i = 0; i < kRows; ++i) {
      const V factor = hn::Set(d, a[i * p.a_row]);
      left[i] = hn::MulAdd(factor, b_left, left[i]);
      right[i] = hn::MulAdd(factor, b_right, right[i]);
    }
  }
  for (size_t i = 0; i < kRows; ++i) {
    hn::StoreU(left[i], d, c + i * p.c_row);
    hn::StoreU(right[i], d, c + i * p.c_row + lanes);
  }
}

void AddProductTo(const AddProduct& p) {
  const size_t width = 2 * hn::Lanes(Tag());
  for (size_t col = 0; col < p.n; col += width) {
    size_t row = 0;
    for (; row + 4 <= p.m; row += 4) add_tile<4>(p, row, col);
    for (; row < p.m; ++row) add_tile<1>(p, row, col);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace mii::heads
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mii::heads {

HWY_EXPORT(AddProductTo);

namespace {

constexpr size_t kSlices = 16;  // sums of their own, so that the number of threads does not show

void add_product(const AddProduct& p) { HWY_DYNAMIC_DISPATCH(AddProductTo)(p); }

// Below this many products threads cost more than they save.
bool worth_threads(const Rows64& features, size_t outputs) {
  return features.rows() * features.cols() * outputs > 5'000'000;
}

size_t blocks_of(const Rows64& features) { return (features.rows() + kBlock - 1) / kBlock; }

// The columns of a block of rows as rows: [C, kBlock].
void transpose_block(const Rows64& features, size_t first, size_t rows, std::vector<double>& to) {
  for (size_t r = 0; r < kBlock; ++r) {
    for (size_t c = 0; c < features.cols(); ++c)
      to[c * kBlock + r] = r < rows ? features.row(first + r)[c] : 0;
  }
}

/// Scores one block after another in the same memory.
class BlockScorer {
 public:
  BlockScorer(const Rows64& features, const Rows64& weights)
      : features_(features),
        weights_(weights),
        turned_(features.cols() * kBlock),
        scores_(weights.rows() * kBlock) {}

  ScoredBlock score(size_t block) {
    const size_t first = block * kBlock, rows = std::min(kBlock, features_.rows() - first);
    transpose_block(features_, first, rows, turned_);
    std::ranges::fill(scores_, 0);
    add_product({.m = weights_.rows(),
                 .n = kBlock,
                 .k = features_.cols(),
                 .a = weights_.values().data(),
                 .a_row = weights_.stride(),
                 .a_col = 1,
                 .b = turned_.data(),
                 .b_row = kBlock,
                 .c = scores_.data(),
                 .c_row = kBlock});
    return {first, rows, scores_};
  }

 private:
  const Rows64& features_;
  const Rows64& weights_;
  std::vector<double> turned_;
  std::vector<double> scores_;
};

// The blocks of a slice of all blocks.
struct Slice {
  Slice(size_t number, size_t blocks)
      : begin(number * blocks / kSlices), end((number + 1) * blocks / kSlices) {}
  size_t begin, end;
};

void add_up(const std::vector<Rows64>& parts, Rows64& sum) {
  std::ranges::fill(sum.values(), 0);
  for (const Rows64& part : parts)
    for (size_t i = 0; i < part.values().size(); ++i) sum.values()[i] += part.values()[i];
}

}  // namespace

Rows64::Rows64(size_t rows, size_t cols)
    : rows_(rows),
      cols_(cols),
      stride_((cols + kPadding - 1) / kPadding * kPadding),
      values_(rows * stride_) {}

Rows64 features_of(const Matrix& vectors) {
  Rows64 features(vectors.rows(), vectors.cols() + 1);
  for (size_t i = 0; i < vectors.rows(); ++i) {
    std::ranges::copy(vectors.row(i), features.row(i).begin());
    features.row(i).back() = 1;
  }
  return features;
}

Rows64 some_rows(const Rows64& from, std::span<const size_t> rows) {
  Rows64 some(rows.size(), from.cols());
  for (size_t i = 0; i < rows.size(); ++i) std::ranges::copy(from.row(rows[i]), some.row(i).begin());
  return some;
}

Matrix some_rows(const Matrix& from, std::span<const size_t> rows) {
  Matrix some(rows.size(), from.cols());
  for (size_t i = 0; i < rows.size(); ++i) std::ranges::copy(from.row(rows[i]), some.row(i).begin());
  return some;
}

void for_each_scored_block(const Rows64& features, const Rows64& weights,
                           const std::function<void(const ScoredBlock&)>& take) {
#pragma omp parallel if (worth_threads(features, weights.rows()))
  {
    BlockScorer scorer(features, weights);
#pragma omp for schedule(static)
    for (size_t block = 0; block < blocks_of(features); ++block) take(scorer.score(block));
  }
}

double add_up_blocks(const Rows64& features, const Rows64& weights,
                     const std::function<double(const ScoredBlock&)>& take, Rows64& gradient) {
  std::vector<Rows64> parts(kSlices);
  std::vector<double> values(kSlices);
#pragma omp parallel for schedule(dynamic, 1) if (worth_threads(features, weights.rows()))
  for (size_t s = 0; s < kSlices; ++s) {
    parts[s] = Rows64(weights.rows(), features.cols());
    BlockScorer scorer(features, weights);
    const Slice slice(s, blocks_of(features));
    for (size_t block = slice.begin; block < slice.end; ++block) {
      const ScoredBlock scored = scorer.score(block);
      values[s] += take(scored);
      add_product({.m = weights.rows(),
                   .n = features.stride(),
                   .k = scored.rows,
                   .a = scored.scores.data(),
                   .a_row = kBlock,
                   .a_col = 1,
                   .b = features.values().data() + scored.first * features.stride(),
                   .b_row = features.stride(),
                   .c = parts[s].values().data(),
                   .c_row = features.stride()});
    }
  }
  add_up(parts, gradient);
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

Rows64 gram(const Rows64& features, std::span<const double> factors) {
  const size_t cols = features.cols(), stride = features.stride();
  std::vector<Rows64> parts(kSlices);
#pragma omp parallel for schedule(dynamic, 1) if (worth_threads(features, features.cols()))
  for (size_t s = 0; s < kSlices; ++s) {
    parts[s] = Rows64(cols, cols);
    std::vector<double> scaled(kBlock * stride);
    const Slice slice(s, blocks_of(features));
    for (size_t block = slice.begin; block < slice.end; ++block) {
      const size_t first = block * kBlock, rows = std::min(kBlock, features.rows() - first);
      const double* x = features.values().data() + first * stride;
      for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < stride; ++c)
          scaled[r * stride + c] = (factors.empty() ? 1 : factors[first + r]) * x[r * stride + c];
      add_product({.m = cols,
                   .n = stride,
                   .k = rows,
                   .a = scaled.data(),
                   .a_row = 1,
                   .a_col = stride,
                   .b = x,
                   .b_row = stride,
                   .c = parts[s].values().data(),
                   .c_row = stride});
    }
  }
  Rows64 sum(cols, cols);
  add_up(parts, sum);
  return sum;
}

void add_gram(const Rows64& features, Rows64& sum) {
  const size_t cols = features.cols(), stride = features.stride();
#pragma omp parallel for schedule(dynamic, 1) if (worth_threads(features, cols))
  for (size_t band = 0; band < cols; band += kBlock) {
    for (size_t block = 0; block < blocks_of(features); ++block) {
      const size_t first = block * kBlock;
      const double* x = features.values().data() + first * stride + band;
      add_product({.m = std::min(kBlock, cols - band),
                   .n = stride - band,
                   .k = std::min(kBlock, features.rows() - first),
                   .a = x,
                   .a_row = 1,
                   .a_col = stride,
                   .b = x,
                   .b_row = stride,
                   .c = sum.values().data() + band * stride + band,
                   .c_row = stride});
    }
  }
}

Rows64 product(const Rows64& a, const Rows64& b) {
  Rows64 c(a.rows(), b.cols());
#pragma omp parallel for schedule(static) if (worth_threads(a, b.cols()))
  for (size_t block = 0; block < blocks_of(a); ++block) {
    const size_t first = block * kBlock;
    add_product({.m = std::min(kBlock, a.rows() - first),
                 .n = b.stride(),
                 .k = b.rows(),
                 .a = a.values().data() + first * a.stride(),
                 .a_row = a.stride(),
                 .a_col = 1,
                 .b = b.values().data(),
                 .b_row = b.stride(),
                 .c = c.values().data() + first * c.stride(),
                 .c_row = c.stride()});
  }
  return c;
}

}  // namespace mii::heads
#endif
