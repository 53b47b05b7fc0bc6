#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "core/tensor.h"

// The only place that knows oneDNN. It compiles against 2.6 and 3.x.

namespace mii {

/// Matrix products with packed weights. Runs on the OpenMP threads of the calling thread. One call at a time.
class OneDnnGemm {
 public:
  /// input: the type of the left operand and of the weights, f32 or bf16. Sums and results are f32.
  explicit OneDnnGemm(DType input);
  ~OneDnnGemm();

  /// Whether this machine multiplies bf16 with instructions for it, rather than by emulation.
  static bool has_fast_bf16();

  /// Version and instruction set, "oneDNN 2.6.3, brg:avx512_core".
  std::string description() const;

  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight);

  /// c = a W^T + bias, or c += a W^T + bias. a: [rows, linear.in] of the input type, dense; c: [rows,
  /// linear.out].
  struct Options {
    bool accumulate = false;
  };
  void multiply(const void* a, int64_t rows, const Linear& linear, Options options, float* c);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii
