#include "backend/cpu/byte_products.h"

#include <algorithm>
#include <numeric>

#include "backend/host_backend.h"
#include "mii/error.h"

namespace mii {
namespace {

// Rows of a block: enough for the product to run at its full rate, few enough that a panel's sums and the
// bytes stay in a core's cache.
constexpr int64_t kBlockRows = 64;
size_t size(int64_t n) { return static_cast<size_t>(n); }

// Terms of a sum that stays within 32 bits.
constexpr int64_t kMostTerms = INT32_MAX / (255 * 128);

// Blocks of rows, as many for each thread.
Parts blocks_of(int64_t rows, int64_t threads) {
  return parts_of_count(rows, divide_up(divide_up(rows, kBlockRows), threads) * threads);
}

// Smaller blocks read the weights too often.
bool worth_blocks(const Parts& blocks) { return blocks.size >= kBlockRows / 2; }

}  // namespace

class ByteProducts::Matrix : public PackedMatrix {
 public:
  Matrix(const StoredMatrix& stored, OneDnnPanels& gemm)
      : packed(gemm.pack(stored)),
        scales(stored.scales.begin(), stored.scales.end()),
        sums(size(packed.out)),
        no_bias(size(packed.out)) {
    const auto* values = reinterpret_cast<const int8_t*>(stored.values.data);
    parallel_for(packed.out, [&](int64_t o) {
      sums[size(o)] = std::accumulate(values + o * packed.in, values + (o + 1) * packed.in, int32_t{0});
    });
  }

  PanelMatrix packed;
  std::vector<float> scales;   // [out]
  std::vector<int32_t> sums;   // [out], of each output's weights
  std::vector<float> no_bias;  // [out] zeros
};

ByteProducts::ByteProducts(int threads)
    : threads_(threads), gemm_(threads), workers_(static_cast<size_t>(threads)) {}

std::unique_ptr<PackedMatrix> ByteProducts::pack(const StoredMatrix& weight) {
  if (weight.in() > kMostTerms)
    throw Error(ErrorCode::unsupported, "int8: a layer of " + std::to_string(weight.in()) +
                                            " inputs, whose sums go beyond 32 bits; at most " +
                                            std::to_string(kMostTerms));
  return std::make_unique<Matrix>(weight, gemm_);
}

bool ByteProducts::packed(const PackedMatrix& weight) {
  return dynamic_cast<const Matrix*>(&weight) != nullptr;
}

ByteProducts::Finish ByteProducts::finish_of(Activation activation) {
  return activation == Activation::gelu ? gelu_byte_sums : quick_gelu_byte_sums;
}

void ByteProducts::Bytes::reserve(int64_t n, int64_t in) {
  values.reserve_discarding(size(n * in));
  if (rows.size() < size(n)) rows.resize(size(n));
}

ByteProducts::Product ByteProducts::prepare(const Linear& linear, Finish finish, const Parts& blocks) {
  const auto& matrix = static_cast<const Matrix&>(*linear.weight);
  Product product{matrix, linear.bias.empty() ? matrix.no_bias.data() : data(linear.bias), finish, {}};
  size_t scratch = 0;
  for (const int64_t rows : {blocks.length(0), blocks.length(blocks.count() - 1)})
    for (const int64_t columns :
         {matrix.packed.panels.front().columns, matrix.packed.panels.back().columns}) {
      const auto kernel = gemm_.kernel(DType::i8, rows, matrix.packed.in, columns);
      scratch = std::max(scratch, OneDnnPanels::scratch(*kernel));
      product.kernels.emplace(std::pair(rows, columns), kernel);
    }
  for (Worker& worker : workers_) {
    worker.row.reserve_discarding(size(matrix.packed.in));
    worker.sums.reserve_discarding(size(blocks.size * matrix.packed.panels.front().columns));
    worker.scratch.reserve_discarding(scratch);
  }
  return product;
}

// bytes[to] = rows[from]
void ByteProducts::quantise_one(const RowSource& rows, int64_t from, int64_t in, Bytes& bytes, int64_t to) {
  const float* row = rows(from, worker().row.data());
  bytes.rows[size(to)] = quantise_row(row, size(in), bytes.values.data() + to * in);
}

// y: the block's first row.
void ByteProducts::finish_panel(const Product& product, int64_t panel, const Block& block, float* y) {
  const Matrix& matrix = product.matrix;
  const Panel& weights = matrix.packed.panels[size(panel)];
  const auto& [first, columns, values] = weights;
  Worker& own = worker();
  gemm_.multiply(*product.kernels.at({block.n, columns}), block.values, weights, own.scratch.data(),
                 own.sums.data());
  product.finish({.sums = own.sums.data(),
                  .row_count = size(block.n),
                  .columns = size(columns),
                  .rows = block.rows,
                  .scales = matrix.scales.data() + first,
                  .weight_sums = matrix.sums.data() + first,
                  .bias = product.bias + first},
                 y + first, size(matrix.packed.out));
}

void ByteProducts::finish_block(const Product& product, const Block& block, float* y) {
  for (size_t panel = 0; panel < product.matrix.packed.panels.size(); ++panel)
    finish_panel(product, static_cast<int64_t>(panel), block, y);
}

void ByteProducts::multiply(const RowSource& rows, int64_t n, const Linear& linear, Options options,
                            float* y) {
  if (n == 0) return;
  const Finish finish = options.activation   ? finish_of(*options.activation)
                        : options.accumulate ? add_byte_sums
                                             : store_byte_sums;
  const Parts blocks = blocks_of(n, threads_);
  if (!worth_blocks(blocks)) return multiply_by_panels(rows, n, linear, finish, y);
  const Product product = prepare(linear, finish, blocks);
  for (Worker& worker : workers_) worker.in.reserve(blocks.size, linear.in);
  parallel_for(blocks.count(), [&](int64_t i) {
    Bytes& in = worker().in;
    for (int64_t r = 0; r < blocks.length(i); ++r) quantise_one(rows, blocks.begin(i) + r, linear.in, in, r);
    finish_block(product, {in.values.data(), in.rows.data(), blocks.length(i)},
                 y + blocks.begin(i) * linear.out);
  });
}

void ByteProducts::multiply_by_panels(const RowSource& rows, int64_t n, const Linear& linear, Finish finish,
                                      float* y) {
  const Parts blocks = equal_parts(n, kBlockRows);
  const Product product = prepare(linear, finish, blocks);
  shared_.reserve(n, linear.in);
  parallel_for(n, [&](int64_t r) { quantise_one(rows, r, linear.in, shared_, r); });
  // A panel's blocks follow one another, so that its weights are still in a cache.
  parallel_for(static_cast<int64_t>(product.matrix.packed.panels.size()) * blocks.count(), [&](int64_t i) {
    const int64_t block = i % blocks.count();
    const int64_t first = blocks.begin(block);
    finish_panel(
        product, i / blocks.count(),
        {shared_.values.data() + first * linear.in, shared_.rows.data() + first, blocks.length(block)},
        y + first * linear.out);
  });
}

void ByteProducts::feed_forward_add(const RowSource& rows, int64_t n, const FeedForward& ff, float* x) {
  if (n == 0) return;
  const int64_t in = ff.fc1.in, width = ff.fc1.out;
  const Parts blocks = blocks_of(n, threads_);
  if (!worth_blocks(blocks)) {
    hidden_.reserve_discarding(size(n * width));
    multiply_by_panels(rows, n, ff.fc1, finish_of(ff.activation), hidden_.data());
    const auto active = [&](int64_t r, float*) { return hidden_.data() + r * width; };
    return multiply_by_panels(active, n, ff.fc2, add_byte_sums, x);
  }
  const Product fc1 = prepare(ff.fc1, finish_of(ff.activation), blocks);
  const Product fc2 = prepare(ff.fc2, add_byte_sums, blocks);
  for (Worker& worker : workers_) {
    worker.in.reserve(blocks.size, in);
    worker.hidden.reserve_discarding(size(blocks.size * width));
    worker.active.reserve(blocks.size, width);
  }
  parallel_for(blocks.count(), [&](int64_t i) {
    Worker& own = worker();
    const int64_t count = blocks.length(i);
    for (int64_t r = 0; r < count; ++r) quantise_one(rows, blocks.begin(i) + r, in, own.in, r);
    finish_block(fc1, {own.in.values.data(), own.in.rows.data(), count}, own.hidden.data());
    for (int64_t r = 0; r < count; ++r)
      own.active.rows[size(r)] =
          quantise_row(own.hidden.data() + r * width, size(width), own.active.values.data() + r * width);
    finish_block(fc2, {own.active.values.data(), own.active.rows.data(), count},
                 x + blocks.begin(i) * ff.fc2.out);
  });
}

}  // namespace mii
