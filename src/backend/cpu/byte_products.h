#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/vector_kernels.h"
#include "core/aligned_buffer.h"

namespace mii {

/// The products of int8. A thread takes a block of rows, rounds them to bytes, multiplies them with panels of
/// the weights one after another, and makes of each panel's sums what they stand for while they are in its
/// cache. With fewer blocks than threads it takes a panel instead.
class ByteProducts {
 public:
  explicit ByteProducts(int threads);

  std::string description() const { return gemm_.description(DType::i8); }

  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight);
  /// Whether pack() made it.
  static bool packed(const PackedMatrix& weight);

  /// Where row r of a product's left operand is: in memory, or put together in `scratch`, which has room for
  /// it. Called on all threads.
  using RowSource = std::function<const float*(int64_t r, float* scratch)>;

  /// y = linear(rows), y += linear(rows) or y = activation(linear(rows)). y: [n, linear.out].
  struct Options {
    bool accumulate = false;
    std::optional<Activation> activation = std::nullopt;
  };
  void multiply(const RowSource& rows, int64_t n, const Linear& linear, Options options, float* y);

  /// x += fc2(activation(fc1(rows))). x: [n, fc2.out].
  void feed_forward_add(const RowSource& rows, int64_t n, const FeedForward& feed_forward, float* x);

 private:
  class Matrix;

  // What becomes of a block's sums.
  using Finish = void (*)(const ByteSums& block, float* y, size_t stride);
  static Finish finish_of(Activation activation);

  // Rows as bytes.
  struct Bytes {
    void reserve(int64_t n, int64_t in);
    AlignedBuffer<uint8_t> values;  // [n, in]
    std::vector<ByteRow> rows;      // [n]
  };

  // Some of them.
  struct Block {
    const uint8_t* values;
    const ByteRow* rows;
    int64_t n;
  };

  // What one thread needs.
  struct Worker {
    AlignedBuffer<float> row;
    AlignedBuffer<int32_t> sums;
    AlignedBuffer<std::byte> scratch;
    Bytes in;
    AlignedBuffer<float> hidden;
    Bytes active;
  };

  // A product whose kernels are there for all blocks and panels, before the threads start.
  struct Product {
    const Matrix& matrix;
    const float* bias;
    Finish finish;
    std::map<std::pair<int64_t, int64_t>, std::shared_ptr<const OneDnnPanels::Kernel>> kernels;
  };

  Product prepare(const Linear& linear, Finish finish, const Parts& blocks);
  Worker& worker() { return workers_[static_cast<size_t>(thread_index())]; }
  void quantise_one(const RowSource& rows, int64_t from, int64_t in, Bytes& bytes, int64_t to);
  void finish_panel(const Product& product, int64_t panel, const Block& block, float* y);
  void finish_block(const Product& product, const Block& block, float* y);
  void multiply_by_panels(const RowSource& rows, int64_t n, const Linear& linear, Finish finish, float* y);

  int threads_;
  OneDnnPanels gemm_;
  std::vector<Worker> workers_;
  Bytes shared_;
  AlignedBuffer<float> hidden_;
};

}  // namespace mii
