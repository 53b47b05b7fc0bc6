#pragma once

#include <cstdint>
#include <memory>

#include "backend/cuda/kernels.h"

namespace mii::cuda {

/// c = a W^T + bias, or c += a W^T + bias.
struct Product {
  const void* a;  ///< an operand [rows, in]
  int64_t rows;
  int64_t in;          ///< a multiple of 16
  const void* weight;  ///< [out, in] of the operands' type, with room for a multiple of 16 rows
  int64_t out;
  const float* bias;       ///< [out], or null
  const void* typed_bias;  ///< the same in the type of c
  void* c;                 ///< [rows, out]; rows are c_stride values apart
  int64_t c_stride;
  bool accumulate;  ///< for c of float32
  // Operands are f8, with factors on a's rows [rows] and the weight's [out], and c of float32 gets no bias:
  const float* a_factors = nullptr;
  const float* weight_factors = nullptr;

  Operand operands(Operand type) const { return a_factors == nullptr ? type : Operand::f8; }
};

/// Matrix products on a device: cuBLASLt's, where it has an algorithm for the shape, else plain ones.
class Products {
 public:
  virtual ~Products() = default;
  /// type: of the operands, unless they are f8. Sums are float32, without TF32. result: float32 or `type`.
  static std::unique_ptr<Products> make(std::shared_ptr<Device> device, Operand type);

  virtual void multiply(const Product& product, Operand result) = 0;
  virtual std::string description() const = 0;
};

inline PlainProduct plain(const Product& p) {
  return {p.a, p.rows,     p.in,         p.weight,    p.out,           p.bias,
          p.c, p.c_stride, p.accumulate, p.a_factors, p.weight_factors};
}

}  // namespace mii::cuda
