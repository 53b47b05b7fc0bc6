#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/vector_kernels.h"
#include "core/aligned_buffer.h"

namespace mii {

struct Parts;

/// The products of f32 and bf16. Where the weights are small, a thread takes a block of rows, makes its left
/// operand and multiplies it with all panels of the weights; else a block and one panel. What is wanted of
/// the sums is made of them while they are in its cache. Whoever is done first takes the next.
class FloatProducts {
 public:
  explicit FloatProducts(int threads);

  std::string description(DType operands) const { return gemm_.description(operands); }

  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight);
  /// The type of the weights and of the left operand.
  static DType operands(const PackedMatrix& weight);

  /// Writes some rows of a product's left operand, in the operands' type. Called on all threads.
  using Fill = std::function<void(int64_t first, int64_t rows, void* to)>;

  /// y = linear(a), or y += linear(a). a: `rows` rows of linear.in; y: [rows, linear.out].
  struct Options {
    bool accumulate = false;
  };
  void multiply(const Fill& a, int64_t rows, const Linear& linear, Options options, float* y);
  /// a: [rows, linear.in] of the operands' type.
  void multiply(const void* a, int64_t rows, const Linear& linear, Options options, float* y);

  /// y = activation(linear(a)).
  void multiply_and_activate(const Fill& a, int64_t rows, const Linear& linear, Activation activation,
                             float* y);

  /// x += fc2(activation(fc1(a))). a: what fc1 takes; x: [rows, fc2.out].
  void feed_forward_add(const Fill& a, int64_t rows, const FeedForward& feed_forward, float* x);

 private:
  class Matrix;
  class Product;

  // What one thread needs.
  struct Worker {
    AlignedBuffer<float> sums;
    AlignedBuffer<std::byte> scratch;
    AlignedBuffer<std::byte> operand;
    AlignedBuffer<std::byte> hidden;
  };
  Worker& worker();

  bool by_blocks(int64_t rows, const Linear& linear) const;
  Parts blocks_of(int64_t rows) const;
  const void* filled(const Fill& a, int64_t first, int64_t rows, size_t row_bytes);
  void run(const void* a, int64_t rows, Product& product, void* y);
  void run(const Fill& a, int64_t rows, Product& product, void* y);

  int threads_;
  OneDnnPanels gemm_;
  std::vector<Worker> workers_;
  AlignedBuffer<std::byte> operand_;
  AlignedBuffer<std::byte> hidden_;
};

}  // namespace mii
