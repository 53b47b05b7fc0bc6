#include "search/scan.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "mii/error.h"
#include "search/codes.h"
#include "vectors.h"

namespace mii::search {
namespace {

/// Vectors as a collection's files hold them.
class Rows {
 public:
  Rows(const Matrix& vectors, DType precision) : stored_(vectors.rows(), vectors.cols()) {
    const size_t dim = vectors.cols();
    view_ = {.stored = {nullptr, stored_bytes(dim, precision)},
             .int8 = {nullptr, int8_bytes(dim)},
             .signs = {nullptr, sign_bytes(dim)},
             .precision = precision,
             .dim = dim};
    bytes_.resize(vectors.rows() * view_.stored.stride);
    int8_.resize(vectors.rows() * view_.int8.stride);
    signs_.resize(vectors.rows() * view_.signs.stride);
    for (size_t r = 0; r < vectors.rows(); ++r) {
      encode_stored(vectors.row(r), precision, &bytes_[r * view_.stored.stride]);
      decode_stored(&bytes_[r * view_.stored.stride], precision, stored_.row(r));
      encode_int8(stored_.row(r), &int8_[r * view_.int8.stride]);
      encode_signs(stored_.row(r), &signs_[r * view_.signs.stride]);
    }
    view_.stored.data = bytes_.data();
    view_.int8.data = int8_.data();
    view_.signs.data = signs_.data();
  }
  const VectorRows& view() const { return view_; }
  std::span<const float> stored(size_t row) const { return stored_.row(row); }
  size_t size() const { return stored_.rows(); }

 private:
  Matrix stored_;
  std::vector<std::byte> bytes_, int8_, signs_;
  VectorRows view_;
};

// The sum as scan_kernels.h says, in plain loops.
float dot(std::span<const float> a, std::span<const float> b) {
  float sums[kPartialSums] = {};
  for (size_t i = 0; i < a.size(); ++i) {
    const float product = a[i] * b[i];
    sums[i % kPartialSums] += product;
  }
  for (size_t half = kPartialSums / 2; half > 0; half /= 2)
    for (size_t j = 0; j < half; ++j) sums[j] += sums[j + half];
  return sums[0];
}

std::vector<ScoredRow> brute_force(const Rows& rows, const Bitmap& allowed, std::span<const float> query,
                                   size_t k) {
  std::vector<ScoredRow> all;
  for (uint32_t r = 0; r < rows.size(); ++r)
    if (allowed.test(r)) all.push_back({dot(query, rows.stored(r)), r});
  std::ranges::stable_sort(all, std::greater(), &ScoredRow::similarity);
  size_t kept = std::min(k, all.size());
  while (kept > 0 && kept < all.size() && all[kept].similarity == all[kept - 1].similarity) ++kept;
  all.resize(kept);
  return all;
}

std::vector<ScoredRow> rows_of(const Scan& found) { return found.best.at(0); }

class EachPrecision : public testing::TestWithParam<DType> {};

TEST_P(EachPrecision, EveryExactStageEqualsBruteForceBitForBit) {
  for (const size_t dim : {1, 31, 33, 100, 192, 1024}) {
    const Rows rows(clustered_vectors(3000, dim, 1), GetParam());
    const Matrix queries = clustered_vectors(9, dim, 2);
    Bitmap all(rows.size(), true);
    Bitmap some(rows.size());
    for (size_t r = 0; r < rows.size(); r += 7) some.set(r);
    for (const Bitmap* allowed : {&all, &some}) {
      const Scan batch = scan(rows.view(), *allowed, queries, {.k = 10, .stage = Stage::exact});
      for (size_t q = 0; q < queries.rows(); ++q) {
        const auto expected = brute_force(rows, *allowed, queries.row(q), 10);
        EXPECT_EQ(batch.best[q], expected) << "products, dim " << dim;
        Matrix one(1, dim);
        std::ranges::copy(queries.row(q), one.row(0).begin());
        for (const Stage stage : {Stage::exact, Stage::int8})
          EXPECT_EQ(rows_of(scan(rows.view(), *allowed, one, {.k = 10, .stage = stage})), expected)
              << to_string(stage) << ", dim " << dim;
      }
    }
  }
}

TEST_P(EachPrecision, SignsFindNearlyAllWithTheSameSimilarities) {
  const Rows rows(clustered_vectors(100'000, 192, 3), GetParam());
  const Matrix queries = clustered_vectors(20, 192, 4);
  const Bitmap all(rows.size(), true);
  for (const Stage stage : {Stage::signs, Stage::hamming}) {
    const Scan found = scan(rows.view(), all, queries, {.k = 10, .stage = stage});
    size_t hits = 0;
    for (size_t q = 0; q < queries.rows(); ++q) {
      const auto expected = brute_force(rows, all, queries.row(q), 10);
      for (const ScoredRow& row : found.best[q]) hits += std::ranges::count(expected, row);
    }
    EXPECT_GE(hits, size_t{198}) << to_string(stage);
  }
}

INSTANTIATE_TEST_SUITE_P(Scan, EachPrecision, testing::Values(DType::f32, DType::bf16),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(Scan, ResultsAreTheSameOnEveryInstructionSetAndNumberOfThreads) {
  const Rows rows(clustered_vectors(5000, 203, 5), DType::f32);
  const Rows halves(clustered_vectors(5000, 203, 5), DType::bf16);
  const Matrix one = clustered_vectors(1, 203, 6);
  const Matrix many = clustered_vectors(10, 203, 6);
  const Bitmap all(rows.size(), true);
  const auto results = [&](int threads) {
    std::vector<std::vector<ScoredRow>> found;
    for (const Rows* kept : {&rows, &halves})
      for (const Matrix* queries : {&one, &many})
        for (const Stage stage : {Stage::exact, Stage::int8, Stage::signs, Stage::hamming}) {
          const Scan answer = scan(kept->view(), all, *queries,
                                   {.k = 25, .stage = stage, .threads = threads, .rescored_share = 0.01});
          found.insert(found.end(), answer.best.begin(), answer.best.end());
        }
    return found;
  };
  const auto expected = results(1);
  EXPECT_EQ(results(2), expected);
  EXPECT_EQ(results(7), expected);
  for (uint32_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0; targets &= targets - 1) {
    const uint32_t target = targets & ~(targets - 1);
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    EXPECT_EQ(results(3), expected) << hwy::TargetName(target);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(Scan, RowsAsSimilarAsTheLastHitAreAllThere) {
  Matrix vectors = clustered_vectors(5000, 64, 7);
  for (size_t r = 0; r < vectors.rows(); r += 5) std::ranges::copy(vectors.row(0), vectors.row(r).begin());
  const Rows rows(vectors, DType::f32);
  Matrix query(1, 64);
  std::ranges::copy(vectors.row(0), query.row(0).begin());
  const Bitmap all(rows.size(), true);
  for (const Stage stage : {Stage::exact, Stage::int8, Stage::signs, Stage::hamming}) {
    const auto found = rows_of(scan(rows.view(), all, query, {.k = 3, .stage = stage}));
    ASSERT_EQ(found.size(), size_t{1000}) << to_string(stage);
    for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].row, 5 * i);
  }
}

TEST(Scan, OfFewRowsAllAreHitsAndOfNoneNone) {
  const Rows rows(clustered_vectors(10, 48, 8), DType::f32);
  const Matrix query = clustered_vectors(1, 48, 9);
  Bitmap allowed(rows.size());
  for (const Stage stage : {Stage::automatic, Stage::exact, Stage::int8, Stage::signs})
    EXPECT_TRUE(rows_of(scan(rows.view(), allowed, query, {.k = 3, .stage = stage})).empty());
  allowed.set(4);
  for (const Stage stage : {Stage::automatic, Stage::exact, Stage::int8, Stage::signs})
    EXPECT_EQ(rows_of(scan(rows.view(), allowed, query, {.k = 3, .stage = stage})).size(), size_t{1});
}

TEST(Scan, TheStageFollowsFromTheNumberOfRowsThatTheFilterLeaves) {
  const Rows rows(clustered_vectors(25'000, 8, 10), DType::f32);
  const Matrix query = clustered_vectors(1, 8, 11);
  Bitmap allowed(rows.size(), true);
  EXPECT_EQ(scan(rows.view(), allowed, query, {}).stage, Stage::int8);
  EXPECT_EQ(scan(rows.view(), allowed, clustered_vectors(8, 8, 11), {}).stage, Stage::exact);
  Bitmap few(rows.size());
  for (size_t r = 0; r < 100; ++r) few.set(r);
  EXPECT_EQ(scan(rows.view(), few, query, {}).stage, Stage::exact);
  EXPECT_EQ(scan(rows.view(), few, query, {.stage = Stage::signs}).stage, Stage::signs);
}

TEST(Stage, HasANameThatIsParsed) {
  for (const Stage stage : {Stage::automatic, Stage::exact, Stage::int8, Stage::signs, Stage::hamming})
    EXPECT_EQ(parse_stage(to_string(stage)), stage);
  EXPECT_THROW(parse_stage("fast"), Error);
}

TEST(Codes, SignsAreTheBitsOfNumpysPackbits) {
  const std::vector<float> vector{0.5f, -0.5f, 0, 0.1f, 0.1f, -1, -1, -1, 2};
  std::vector<std::byte> row(sign_bytes(vector.size()));
  encode_signs(vector, row.data());
  ASSERT_EQ(row.size(), size_t{8});
  EXPECT_EQ(row[0], std::byte{0b10011000});
  EXPECT_EQ(row[1], std::byte{0b10000000});
  EXPECT_EQ(row[2], std::byte{0});
}

TEST(Codes, TheErrorOfAnInt8RowBoundsItsDistance) {
  const Matrix vectors = clustered_vectors(50, 100, 12);
  std::vector<std::byte> row(int8_bytes(100));
  for (size_t r = 0; r < vectors.rows(); ++r) {
    encode_int8(vectors.row(r), row.data());
    const Int8Scale behind = int8_scale(row.data(), 100);
    double squares = 0;
    for (size_t i = 0; i < 100; ++i) {
      const double d = double{vectors.row(r)[i]} - double{behind.scale} * static_cast<int8_t>(row[i]);
      squares += d * d;
    }
    EXPECT_LE(std::sqrt(squares), behind.error);
    EXPECT_GE(std::sqrt(squares), 0.99 * behind.error);
  }
}

}  // namespace
}  // namespace mii::search
