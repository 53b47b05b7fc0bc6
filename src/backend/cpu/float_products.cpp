#include "backend/cpu/float_products.h"

#include <algorithm>
#include <array>
#include <utility>

#include "backend/cpu/parallel.h"
#include "backend/host_backend.h"

namespace mii {
namespace {

// Rows of a block: enough for the product to run at its full rate, few enough that its sums stay in a core's
// cache.
constexpr int64_t kBlockRows = 256;
// Below this many rows a block reads the weights too often, for the sake of more tasks.
constexpr int64_t kLeastRows = 32;
// Of each thread, so that one that is held up leaves its tasks to others.
constexpr int64_t kTasks = 8;
// Weights that stay in a core's cache while one block after another is multiplied with them.
constexpr size_t kSmallWeights = size_t{1} << 20;
// Rows of a left operand that a thread writes at a time, and of one that is written before it is multiplied.
constexpr int64_t kFilledRows = 32;
constexpr int64_t kPartRows = 1200;

size_t size(int64_t n) { return static_cast<size_t>(n); }

// What becomes of a block's sums.
template <typename T>
using Finish = void (*)(const FloatSums& block, T* y, size_t stride);

const void* part_of(const void* rows, int64_t first, size_t row_bytes) {
  return static_cast<const std::byte*>(rows) + size(first) * row_bytes;
}
void* part_of(void* rows, int64_t first, size_t row_bytes) {
  return static_cast<std::byte*>(rows) + size(first) * row_bytes;
}

template <typename T>
Finish<T> activating(Activation activation) {
  if (activation == Activation::gelu) return gelu_float_sums;
  return quick_gelu_float_sums;
}

}  // namespace

class FloatProducts::Matrix : public PackedMatrix {
 public:
  explicit Matrix(PanelMatrix of) : packed(std::move(of)), no_bias(size(packed.out)) {}

  size_t bytes() const { return packed.values.size(); }

  PanelMatrix packed;
  std::vector<float> no_bias;  // [out] zeros
};

// A linear layer with what becomes of its sums, and the kernels for blocks of some numbers of rows.
class FloatProducts::Product {
 public:
  Product(const Linear& linear, Finish<float> finish) : Product(linear, DType::f32) { to_float_ = finish; }
  Product(const Linear& linear, Activation activation, DType result) : Product(linear, result) {
    to_float_ = activating<float>(activation);
    to_bfloat16_ = activating<BFloat16>(activation);
  }

  int64_t panels() const { return static_cast<int64_t>(matrix_.packed.panels.size()); }
  size_t row_bytes() const { return size(matrix_.packed.in) * size_of(matrix_.packed.type); }
  size_t result_bytes() const { return size(matrix_.packed.out) * size_of(result_); }

  // Before the threads start.
  void prepare(const Parts& blocks, OneDnnPanels& gemm, std::vector<Worker>& workers) {
    size_t scratch = 0;
    for (const bool last_block : {false, true})
      for (const bool last_panel : {false, true}) {
        const auto& panels = matrix_.packed.panels;
        auto& kernel = kernels_[last_block][last_panel];
        kernel = gemm.kernel(matrix_.packed.type, blocks.length(last_block ? blocks.count() - 1 : 0),
                             matrix_.packed.in, (last_panel ? panels.back() : panels.front()).columns);
        scratch = std::max(scratch, OneDnnPanels::scratch(*kernel));
      }
    for (Worker& worker : workers) {
      worker.sums.reserve_discarding(size(blocks.size * matrix_.packed.panels.front().columns));
      worker.scratch.reserve_discarding(scratch);
    }
  }

  struct Block {
    const void* a;
    int64_t rows;
    bool last;
  };

  // With all panels. y: the block's first row.
  void multiply(const OneDnnPanels& gemm, const Block& block, Worker& own, void* y) const {
    for (int64_t number = 0; number < panels(); ++number) multiply(gemm, block, number, own, y);
  }

  // With one of them.
  void multiply(const OneDnnPanels& gemm, const Block& block, int64_t number, Worker& own, void* y) const {
    const Panel& panel = matrix_.packed.panels[size(number)];
    gemm.multiply(*kernels_[block.last][number + 1 == panels()], block.a, panel, own.scratch.data(),
                  own.sums.data());
    const FloatSums sums{own.sums.data(), size(block.rows), size(panel.columns), bias_ + panel.first};
    if (result_ == DType::f32)
      to_float_(sums, static_cast<float*>(y) + panel.first, size(matrix_.packed.out));
    else
      to_bfloat16_(sums, static_cast<BFloat16*>(y) + panel.first, size(matrix_.packed.out));
  }

 private:
  Product(const Linear& linear, DType result)
      : matrix_(static_cast<const Matrix&>(*linear.weight)),
        bias_(linear.bias.empty() ? matrix_.no_bias.data() : data(linear.bias)),
        result_(result) {}

  const Matrix& matrix_;
  const float* bias_;
  DType result_;
  Finish<float> to_float_ = nullptr;
  Finish<BFloat16> to_bfloat16_ = nullptr;
  // [of the last block][of the last panel]
  std::array<std::array<std::shared_ptr<const OneDnnPanels::Kernel>, 2>, 2> kernels_;
};

FloatProducts::FloatProducts(int threads)
    : threads_(threads), gemm_(threads), workers_(static_cast<size_t>(threads)) {}

std::unique_ptr<PackedMatrix> FloatProducts::pack(const StoredMatrix& weight) {
  return std::make_unique<Matrix>(gemm_.pack(weight));
}

DType FloatProducts::operands(const PackedMatrix& weight) {
  return static_cast<const Matrix&>(weight).packed.type;
}

FloatProducts::Worker& FloatProducts::worker() { return workers_[static_cast<size_t>(thread_index())]; }

bool FloatProducts::by_blocks(int64_t rows, const Linear& linear) const {
  return static_cast<const Matrix&>(*linear.weight).bytes() <= kSmallWeights &&
         divide_up(rows, kBlockRows) >= 2 * threads_;
}

Parts FloatProducts::blocks_of(int64_t rows) const {
  return parts_of_count(rows, divide_up(divide_up(rows, kBlockRows), threads_) * threads_);
}

// Some rows of a left operand, written by all threads.
const void* FloatProducts::filled(const Fill& a, int64_t first, int64_t rows, size_t row_bytes) {
  operand_.reserve_discarding(size(rows) * row_bytes);
  const Parts parts{rows, kFilledRows};
  parallel_for(parts.count(), [&](int64_t i) {
    a(first + parts.begin(i), parts.length(i), operand_.data() + size(parts.begin(i)) * row_bytes);
  });
  return operand_.data();
}

// A panel's blocks follow one another, so that its weights are still in a cache.
void FloatProducts::run(const void* a, int64_t rows, Product& product, void* y) {
  const int64_t wanted = divide_up(kTasks * threads_, product.panels());
  const Parts blocks = parts_of_count(
      rows, std::max(divide_up(rows, kBlockRows), std::min(wanted, divide_up(rows, kLeastRows))));
  product.prepare(blocks, gemm_, workers_);
  parallel_for(product.panels() * blocks.count(), [&](int64_t i) {
    const int64_t b = i % blocks.count();
    product.multiply(
        gemm_, {part_of(a, blocks.begin(b), product.row_bytes()), blocks.length(b), b + 1 == blocks.count()},
        i / blocks.count(), worker(), part_of(y, blocks.begin(b), product.result_bytes()));
  });
}

void FloatProducts::run(const Fill& a, int64_t rows, Product& product, void* y) {
  const Parts parts = equal_parts(rows, kPartRows);
  for (int64_t p = 0; p < parts.count(); ++p)
    run(filled(a, parts.begin(p), parts.length(p), product.row_bytes()), parts.length(p), product,
        part_of(y, parts.begin(p), product.result_bytes()));
}

void FloatProducts::multiply(const Fill& a, int64_t rows, const Linear& linear, Options options, float* y) {
  if (rows == 0) return;
  Product product(linear, options.accumulate ? add_float_sums : store_float_sums);
  if (!by_blocks(rows, linear)) return run(a, rows, product, y);
  const Parts blocks = blocks_of(rows);
  product.prepare(blocks, gemm_, workers_);
  for (Worker& worker : workers_) worker.operand.reserve_discarding(size(blocks.size) * product.row_bytes());
  parallel_for(blocks.count(), [&](int64_t b) {
    Worker& own = worker();
    a(blocks.begin(b), blocks.length(b), own.operand.data());
    product.multiply(gemm_, {own.operand.data(), blocks.length(b), b + 1 == blocks.count()}, own,
                     y + blocks.begin(b) * linear.out);
  });
}

void FloatProducts::multiply(const void* a, int64_t rows, const Linear& linear, Options options, float* y) {
  if (rows == 0) return;
  Product product(linear, options.accumulate ? add_float_sums : store_float_sums);
  run(a, rows, product, y);
}

void FloatProducts::multiply_and_activate(const Fill& a, int64_t rows, const Linear& linear,
                                          Activation activation, float* y) {
  if (rows == 0) return;
  Product product(linear, activation, DType::f32);
  run(a, rows, product, y);
}

void FloatProducts::feed_forward_add(const Fill& a, int64_t rows, const FeedForward& ff, float* x) {
  if (rows == 0) return;
  Product fc1(ff.fc1, ff.activation, operands(*ff.fc2.weight));
  Product fc2(ff.fc2, add_float_sums);
  if (!by_blocks(rows, ff.fc1) || !by_blocks(rows, ff.fc2)) {
    const Parts parts = equal_parts(rows, kPartRows);
    hidden_.reserve_discarding(size(parts.size) * fc1.result_bytes());
    for (int64_t p = 0; p < parts.count(); ++p) {
      run(filled(a, parts.begin(p), parts.length(p), fc1.row_bytes()), parts.length(p), fc1, hidden_.data());
      run(hidden_.data(), parts.length(p), fc2, x + parts.begin(p) * ff.fc2.out);
    }
    return;
  }
  const Parts blocks = blocks_of(rows);
  for (Product* product : {&fc1, &fc2}) product->prepare(blocks, gemm_, workers_);
  for (Worker& worker : workers_) {
    worker.operand.reserve_discarding(size(blocks.size) * fc1.row_bytes());
    worker.hidden.reserve_discarding(size(blocks.size) * fc1.result_bytes());
  }
  parallel_for(blocks.count(), [&](int64_t b) {
    Worker& own = worker();
    const int64_t count = blocks.length(b);
    const bool last = b + 1 == blocks.count();
    a(blocks.begin(b), count, own.operand.data());
    fc1.multiply(gemm_, {own.operand.data(), count, last}, own, own.hidden.data());
    fc2.multiply(gemm_, {own.hidden.data(), count, last}, own, x + blocks.begin(b) * ff.fc2.out);
  });
}

}  // namespace mii
