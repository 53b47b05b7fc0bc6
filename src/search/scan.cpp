#include "search/scan.h"

#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "backend/cpu/onednn.h"
#include "backend/cpu/team.h"
#include "core/aligned_buffer.h"
#include "core/threads.h"
#include "mii/error.h"
#include "search/codes.h"
#include "search/ranking.h"

namespace mii::search {
namespace {

constexpr std::array<std::string_view, 6> kStages{"auto", "exact", "int8", "signs", "hamming", "hnsw"};

constexpr size_t kBlockRows = 1024;
constexpr size_t kProductQueries = 8;  // from here on, products of blocks are faster than one query at a time
constexpr size_t kProductColumns = 64;  // queries of one product
constexpr size_t kQueriesAtOnce = 256;  // of the other stages, for a bound on memory
constexpr size_t kInt8Rows = 20'000;    // below, the stored vectors are read as fast as needed
constexpr size_t kSignsRows = 4'000'000;
constexpr double kRescoredShare = 0.02;
constexpr double kRescoredShareHamming = 0.05;
constexpr size_t kLeastRescored = 2000;
constexpr size_t kInt8Candidates = 1000;  // more are looked at as integers first
constexpr float kUnitRoundoff = 0x1p-24f;
constexpr float kLongest = 1.01f;  // a stored vector; bf16 rounds by at most 1 / 256

using Numbers = std::span<const uint32_t>;
/// Looks at rows, in one thread; destroyed when that thread has no more.
using Look = std::function<void(Numbers)>;

/// Calls a Look of every thread for the rows of the list, or of the bitmap, block by block.
template <typename RowsOfBlock>
void look_at_blocks(size_t blocks, int threads, const RowsOfBlock& rows_of,
                    const std::function<Look()>& make_look) {
  std::atomic<size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    try {
      const Look look = make_look();
      std::vector<uint32_t> numbers;
      for (size_t block; (block = next++) < blocks;) {
        numbers.clear();
        rows_of(block, numbers);
        if (!numbers.empty()) look(numbers);
      }
      look({});
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  const size_t workers = std::min(blocks, static_cast<size_t>(threads > 0 ? threads : usable_cores()));
  if (workers <= 1) {
    work();
  } else {
    std::vector<std::jthread> team;
    for (size_t i = 0; i < workers; ++i) team.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

void look_at(const Bitmap& allowed, int threads, const std::function<Look()>& make_look) {
  look_at_blocks((allowed.size() + kBlockRows - 1) / kBlockRows, threads,
                 [&](size_t block, std::vector<uint32_t>& numbers) {
                   allowed.append_rows(block * kBlockRows, kBlockRows, numbers);
                 },
                 make_look);
}

void look_at(Numbers list, int threads, const std::function<Look()>& make_look) {
  look_at_blocks(
      (list.size() + kBlockRows - 1) / kBlockRows, threads,
      [&](size_t block, std::vector<uint32_t>& numbers) {
        const Numbers part =
            list.subspan(block * kBlockRows).first(std::min(kBlockRows, list.size() - block * kBlockRows));
        numbers.assign(part.begin(), part.end());
      },
      make_look);
}

/// The rankings of several queries, to which the threads bring theirs.
class Rankings {
 public:
  Rankings(size_t queries, size_t k) : rankings_(queries, Ranking(k)), k_(k) {}

  std::vector<Ranking> begin() const { return {rankings_.size(), Ranking(k_)}; }
  void take(std::vector<Ranking> found) {
    const std::lock_guard lock(mutex_);
    for (size_t q = 0; q < rankings_.size(); ++q) rankings_[q].take(found[q]);
  }
  std::vector<Ranking::Candidate> finish(size_t query) { return rankings_[query].finish(); }

 private:
  std::vector<Ranking> rankings_;
  size_t k_;
  std::mutex mutex_;
};

void stored_dots(const VectorRows& rows, std::span<const float> query, Numbers numbers, float* dots) {
  if (rows.precision == DType::f32)
    dots_f32(query.data(), rows.dim, rows.stored, numbers, dots);
  else
    dots_bf16(query.data(), rows.dim, rows.stored, numbers, dots);
}

/// A Look of one query after another. score(q, numbers, ranking) offers the rows.
template <typename Score>
std::function<Look()> looks(Rankings& rankings, size_t queries, const Score& score) {
  return [&rankings, queries, &score]() -> Look {
    auto mine = std::make_shared<std::vector<Ranking>>(rankings.begin());
    return [&rankings, queries, &score, mine](Numbers numbers) {
      if (numbers.empty()) return rankings.take(std::move(*mine));
      for (size_t q = 0; q < queries; ++q) score(q, numbers, (*mine)[q]);
    };
  };
}

/// By the stored vectors.
template <typename Place>
void rank_exactly(const VectorRows& rows, const Place& place, const Matrix& queries, int threads,
                  Rankings& rankings) {
  const auto score = [&](size_t q, Numbers numbers, Ranking& ranking) {
    std::array<float, kBlockRows> dots;
    stored_dots(rows, queries.row(q), numbers, dots.data());
    for (size_t i = 0; i < numbers.size(); ++i) ranking.offer(dots[i], dots[i], numbers[i]);
  };
  look_at(place, threads, looks(rankings, queries.rows(), score));
}

/// By the integers, whose distance from the stored vectors is known.
template <typename Place>
void rank_by_int8(const VectorRows& rows, const Place& place, const Matrix& queries, int threads,
                  Rankings& rankings) {
  std::vector<Int8Query> integers;
  for (size_t q = 0; q < queries.rows(); ++q) integers.emplace_back(queries.row(q));
  const float rounding = rounding_error(rows.dim) + 4 * kUnitRoundoff;
  const auto score = [&](size_t q, Numbers numbers, Ranking& ranking) {
    std::array<int32_t, kBlockRows> dots;
    dots_int8(integers[q].values.data(), rows.dim, rows.int8, numbers, dots.data());
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto [scale, error] = int8_scale(rows.int8.data + numbers[i] * rows.int8.stride, rows.dim);
      const float dot = integers[q].scale * scale * static_cast<float>(dots[i]);
      // |q x - q' x'| <= |q| |x - x'| + |q - q'| |x'|
      const float bound = kLongest * error + integers[q].error * (kLongest + error) + rounding;
      ranking.offer(dot - bound, dot + bound, numbers[i]);
    }
  };
  look_at(place, threads, looks(rankings, queries.rows(), score));
}

void rank_by_signs(const VectorRows& rows, const Bitmap& allowed, const Matrix& queries, size_t bits,
                   int threads, Rankings& rankings) {
  std::vector<SignQuery> planes;
  for (size_t q = 0; q < queries.rows(); ++q) planes.emplace_back(queries.row(q), bits);
  const auto score = [&](size_t q, Numbers numbers, Ranking& ranking) {
    std::array<int32_t, kBlockRows> dots;
    dots_signs(planes[q].view(), rows.signs, numbers, dots.data());
    for (size_t i = 0; i < numbers.size(); ++i) {
      const auto dot = static_cast<float>(dots[i]);
      ranking.offer(dot, dot, numbers[i]);
    }
  };
  look_at(allowed, threads, looks(rankings, queries.rows(), score));
}

/// Multiplies blocks of rows with several queries at once, in one thread, and offers the rows with the bounds
/// that the products leave.
class ProductLook {
 public:
  ProductLook(const VectorRows& rows, const Matrix& queries, Rankings& rankings)
      : rows_(rows),
        rankings_(rankings),
        mine_(rankings.begin()),
        bounds_(queries.rows()),
        gathered_(kBlockRows * rows.stored.stride),
        products_(kBlockRows * queries.rows()) {
    const size_t count = queries.rows();
    set_team(1);
    AlignedBuffer<std::byte> weights(count * stored_bytes(rows.dim, rows.precision));
    std::vector<float> rounded(rows.dim);
    for (size_t q = 0; q < count; ++q) {
      std::byte* to = weights.data() + q * stored_bytes(rows.dim, rows.precision);
      encode_stored(queries.row(q), rows.precision, to);
      decode_stored(to, rows.precision, rounded);
      double squares = 0;
      for (size_t i = 0; i < rows.dim; ++i) {
        const double difference = double{queries.row(q)[i]} - rounded[i];
        squares += difference * difference;
      }
      // Of the product and of the sum that is the similarity; and of the query where it was rounded.
      bounds_[q] = 2 * rounding_error(rows.dim) + kLongest * static_cast<float>(std::sqrt(squares));
    }
    const auto dim = static_cast<int64_t>(rows.dim);
    queries_ = gemm_.pack({.values = {weights.data(), rows.precision, {static_cast<int64_t>(count), dim}}});
    for (const Panel& panel : queries_.panels) {
      kernels_.push_back(gemm_.kernel(rows.precision, kBlockRows, dim, panel.columns));
      scratch_.reserve_discarding(OneDnnPanels::scratch(*kernels_.back()));
    }
  }

  void operator()(Numbers numbers) {
    if (numbers.empty()) {
      multiply(gathered_.data(), waiting_);
      rankings_.take(std::move(mine_));
    } else if (numbers.size() == kBlockRows) {  // one behind the other
      multiply(rows_.stored.data + numbers[0] * rows_.stored.stride, numbers);
    } else {
      for (const uint32_t number : numbers) gather(number);
    }
  }

 private:
  void gather(uint32_t number) {
    std::memcpy(gathered_.data() + waiting_.size() * rows_.stored.stride,
                rows_.stored.data + number * rows_.stored.stride, rows_.stored.stride);
    waiting_.push_back(number);
    if (waiting_.size() < kBlockRows) return;
    multiply(gathered_.data(), waiting_);
    waiting_.clear();
  }

  // Always a whole block, so that there is one kernel; what is behind the numbers is not looked at.
  void multiply(const std::byte* from, Numbers numbers) {
    if (numbers.empty()) return;
    for (size_t p = 0; p < kernels_.size(); ++p) {
      const Panel& panel = queries_.panels[p];
      gemm_.multiply(*kernels_[p], from, panel, scratch_.data(), products_.data());
      const auto first = static_cast<size_t>(panel.first), count = static_cast<size_t>(panel.columns);
      for (size_t i = 0; i < numbers.size(); ++i)
        for (size_t q = 0; q < count; ++q) {
          const float product = products_[i * count + q], bound = bounds_[first + q];
          mine_[first + q].offer(product - bound, product + bound, numbers[i]);
        }
    }
  }

  const VectorRows& rows_;
  OneDnnPanels gemm_{1};
  PanelMatrix queries_;
  std::vector<std::shared_ptr<const OneDnnPanels::Kernel>> kernels_;  // of each panel
  AlignedBuffer<std::byte> scratch_;
  Rankings& rankings_;
  std::vector<Ranking> mine_;
  std::vector<float> bounds_;
  AlignedBuffer<std::byte> gathered_;
  AlignedBuffer<float> products_;  // [kBlockRows, queries]
  std::vector<uint32_t> waiting_;
};

void rank_by_products(const VectorRows& rows, const Bitmap& allowed, const Matrix& queries, int threads,
                      Rankings& rankings) {
  look_at(allowed, threads, [&]() -> Look {
    auto look = std::make_shared<ProductLook>(rows, queries, rankings);
    return [look](Numbers numbers) { (*look)(numbers); };
  });
}

Matrix part_of(const Matrix& matrix, size_t first, size_t count) {
  Matrix part(count, matrix.cols());
  std::ranges::copy(matrix.values().subspan(first * matrix.cols(), count * matrix.cols()),
                    part.values().begin());
  return part;
}

std::vector<uint32_t> numbers_of(const std::vector<Ranking::Candidate>& candidates) {
  std::vector<uint32_t> numbers;
  for (const Ranking::Candidate& c : candidates) numbers.push_back(c.row);
  return numbers;
}

/// The rows that were found for one query, in their order by the stored vectors.
std::vector<ScoredRow> rescored(const VectorRows& rows, std::span<const float> query,
                                const std::vector<Ranking::Candidate>& candidates,
                                const ScanOptions& options) {
  Matrix one(1, rows.dim);
  std::ranges::copy(query, one.row(0).begin());
  std::vector<uint32_t> numbers = numbers_of(candidates);
  if (numbers.size() > kInt8Candidates) {  // what the integers rule out needs no look at the stored vectors
    Rankings possible(1, options.k);
    rank_by_int8(rows, Numbers(numbers), one, options.threads, possible);
    numbers = numbers_of(possible.finish(0));
  }
  Rankings rankings(1, options.k);
  rank_exactly(rows, Numbers(numbers), one, options.threads, rankings);
  std::vector<ScoredRow> best;
  for (const Ranking::Candidate& c : rankings.finish(0)) best.push_back({c.lower, c.row});
  std::ranges::stable_sort(best, std::greater(), &ScoredRow::similarity);
  return best;
}

Stage stage_for(size_t rows, size_t queries, Stage wanted) {
  if (wanted != Stage::automatic) return wanted;
  if (rows >= kSignsRows) return Stage::signs;
  return rows < kInt8Rows || queries >= kProductQueries ? Stage::exact : Stage::int8;
}

size_t rows_to_rescore(size_t allowed, const ScanOptions& options, Stage stage) {
  const double usual = stage == Stage::hamming ? kRescoredShareHamming : kRescoredShare;
  const double share = options.rescored_share > 0 ? options.rescored_share : usual;
  return std::max({options.k, kLeastRescored, static_cast<size_t>(share * static_cast<double>(allowed))});
}

}  // namespace

std::string_view to_string(Stage stage) { return kStages[static_cast<size_t>(stage)]; }

Stage parse_stage(std::string_view name) {
  for (size_t i = 0; i < kStages.size(); ++i)
    if (kStages[i] == name) return static_cast<Stage>(i);
  throw Error(ErrorCode::invalid_argument,
              "no stage '" + std::string(name) + "'; there are auto, exact, int8, signs and hamming");
}

Scan scan(const VectorRows& rows, const Bitmap& allowed, const Matrix& queries, const ScanOptions& options) {
  const size_t count = allowed.count();
  Scan result;
  result.stage = stage_for(count, queries.rows(), options.stage);
  if (count == 0) {
    result.best.resize(queries.rows());
    return result;
  }
  const bool by_signs = result.stage == Stage::signs || result.stage == Stage::hamming;
  const bool by_products = result.stage == Stage::exact && queries.rows() >= kProductQueries;
  const size_t kept = by_signs ? rows_to_rescore(count, options, result.stage) : options.k;
  const size_t step = by_products ? kProductColumns : kQueriesAtOnce;
  for (size_t first = 0; first < queries.rows(); first += step) {
    const Matrix some = part_of(queries, first, std::min(step, queries.rows() - first));
    Rankings rankings(some.rows(), kept);
    if (by_products)
      rank_by_products(rows, allowed, some, options.threads, rankings);
    else if (by_signs)
      rank_by_signs(rows, allowed, some, result.stage == Stage::hamming ? 1 : 4, options.threads, rankings);
    else if (result.stage == Stage::int8)
      rank_by_int8(rows, allowed, some, options.threads, rankings);
    else
      rank_exactly(rows, allowed, some, options.threads, rankings);
    for (size_t q = 0; q < some.rows(); ++q)
      result.best.push_back(rescored(rows, some.row(q), rankings.finish(q), options));
  }
  return result;
}

float rounding_error(size_t dim) { return kLongest * static_cast<float>(dim) * kUnitRoundoff; }

float similarity(const VectorRows& rows, std::span<const float> query, uint32_t row) {
  float dot = 0;
  stored_dots(rows, query, {&row, 1}, &dot);
  return dot;
}

}  // namespace mii::search
