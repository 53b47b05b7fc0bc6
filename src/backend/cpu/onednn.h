#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/product_shape.h"
#include "core/tensor.h"

// The only place that knows oneDNN. It compiles against 2.6 and 3.x.

namespace mii {

/// Matrix products with packed weights. The left operand and the weights are f32 or both bf16; sums and
/// results are f32. Runs on the OpenMP threads of the calling thread. One call at a time.
class OneDnnGemm {
 public:
  OneDnnGemm();
  ~OneDnnGemm();

  /// Whether this machine multiplies bf16 with instructions for it, rather than by emulation.
  static bool has_fast_bf16();

  /// "oneDNN 2.6.3"
  static std::string version();

  /// The instruction set of products of this type, "brg:avx512_core".
  std::string description(DType operands) const;

  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight);

  /// The type that a matrix was packed from.
  static DType operands(const PackedMatrix& weight);

  /// c = a W^T + bias, or c += a W^T + bias. a: [rows, linear.in] of the weights' type, dense; c: [rows,
  /// linear.out].
  struct Options {
    bool accumulate = false;
  };
  void multiply(const void* a, int64_t rows, const Linear& linear, Options options, float* c);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Products of bytes, with sums of 32 bits. Each call runs on the calling thread alone, and several threads
/// may call at once; the caller cuts the work.
class OneDnnBytes {
 public:
  OneDnnBytes();
  ~OneDnnBytes();

  /// Whether this machine multiplies bytes with instructions that sum four products exactly. (Those of AVX2
  /// saturate.)
  static bool is_fast();

  /// "brg:avx512_core_vnni"
  std::string description() const;

  /// A product of this shape on all threads of the caller's team, to measure: a [rows, in] and weights [out,
  /// in] of bytes, sums [rows, out] of 32 bits.
  static std::function<void()> whole_product(const ProductShape& shape, const void* a, const void* weights,
                                             void* sums);

  /// Some columns of a product: the weights of some outputs.
  class Panel {
   public:
    virtual ~Panel() = default;
  };
  /// weight: [columns, in].
  std::unique_ptr<Panel> pack(const int8_t* weight, int64_t columns, int64_t in);

  /// A product of so many rows. Asked for by one thread, used by all.
  class Kernel;
  std::shared_ptr<const Kernel> kernel(int64_t rows, int64_t in, int64_t columns);
  /// Bytes of scratch memory that multiply() needs.
  static size_t scratch(const Kernel& kernel);

  /// sums[rows, columns] = a[rows, in] times the panel's weights.
  void multiply(const Kernel& kernel, const uint8_t* a, const Panel& panel, std::byte* scratch,
                int32_t* sums) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii
