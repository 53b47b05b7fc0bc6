#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/product_shape.h"
#include "core/aligned_buffer.h"
#include "core/tensor.h"

// The only place that knows oneDNN. It compiles against 2.6 and 3.x.

namespace mii {

/// Some columns of a product: the packed weights of some outputs.
struct Panel {
  int64_t first;
  int64_t columns;
  std::shared_ptr<const void> weights;  ///< as oneDNN's memory
};

/// A weight matrix as panels of columns.
struct PanelMatrix {
  DType type = DType::f32;
  int64_t in = 0;
  int64_t out = 0;
  std::vector<Panel> panels;  ///< all of the same columns, the last perhaps of fewer
  AlignedBuffer<std::byte> values;
};

/// Matrix products with panels of packed weights: of f32 or bf16 with sums in f32, of bytes (the left
/// operand unsigned) with sums of 32 bits. A product runs on the calling thread alone, and the threads of one
/// team may compute at once; the caller cuts the work. pack() and kernel() are for one thread at a time.
class OneDnnPanels {
 public:
  /// For teams of so many threads.
  explicit OneDnnPanels(int threads);
  ~OneDnnPanels();

  /// Whether this machine multiplies bf16 with instructions for it, rather than by emulation.
  static bool has_fast_bf16();
  /// Whether this machine multiplies bytes with instructions that sum four products exactly. (Those of AVX2
  /// saturate.)
  static bool has_fast_bytes();

  /// "oneDNN 2.6.3"
  static std::string version();

  /// The instruction set of products with weights of this type, "brg:avx512_core".
  std::string description(DType weights) const;

  /// A product of this shape on all threads of the caller's team, cut by oneDNN itself, to measure: a [rows,
  /// in], weights [out, in], sums [rows, out].
  static std::function<void()> whole_product(DType type, const ProductShape& shape, const void* a,
                                             const void* weights, void* sums);

  /// On all threads.
  PanelMatrix pack(const StoredMatrix& weight);

  /// A product of so many rows. Made by one thread, used by all.
  class Kernel;
  std::shared_ptr<const Kernel> kernel(DType weights, int64_t rows, int64_t in, int64_t columns);
  /// Bytes of scratch memory that multiply() needs.
  static size_t scratch(const Kernel& kernel);

  /// sums[rows, columns] = a[rows, in] times the panel's weights.
  void multiply(const Kernel& kernel, const void* a, const Panel& panel, std::byte* scratch,
                void* sums) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii
