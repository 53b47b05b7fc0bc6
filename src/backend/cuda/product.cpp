#include "backend/cuda/product.h"

#include <cublasLt.h>

#include <algorithm>
#include <compare>
#include <map>
#include <string>

#include "backend/cuda/check.h"
#include "mii/error.h"

namespace mii::cuda {
namespace {

void check(cublasStatus_t status) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  cuda::check(cudaGetLastError());
  throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? ErrorCode::out_of_memory : ErrorCode::internal,
              std::string("cuBLASLt: ") + cublasLtGetStatusString(status));
}

using Library = Owned<cublasLtHandle_t, cublasLtDestroy>;
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

cudaDataType_t type_of(Operand type) {
  switch (type) {
    case Operand::bf16:
      return CUDA_R_16BF;
    case Operand::f16:
      return CUDA_R_16F;
    case Operand::f8:
      return CUDA_R_8F_E4M3;
    default:
      return CUDA_R_32F;
  }
}

Library make_library() {
  cublasLtHandle_t handle = nullptr;
  check(cublasLtCreate(&handle));
  return Library(handle);
}

// Column-major, as the library sees it: [rows, cols] whose columns are `stride` values apart.
Layout make_layout(Operand type, int64_t rows, int64_t cols, int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, type_of(type), static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(cols), stride));
  return Layout(layout);
}

template <typename Value>
void set(const Description& description, cublasLtMatmulDescAttributes_t attribute, const Value& value) {
  check(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof(value)));
}

template <typename Value>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, const Value& value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof(value)));
}

// The transposed product c^T = W a^T, as the library counts columns first.
Description make_description(bool bias) {
  cublasLtMatmulDesc_t handle = nullptr;
  check(cublasLtMatmulDescCreate(&handle, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  Description description(handle);
  set(description, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  set(description, CUBLASLT_MATMUL_DESC_TRANSB, CUBLAS_OP_N);
  if (bias) set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  return description;
}

// What differs from call to call.
void set_pointers(const Description& description, const Product& p) {
  if (p.bias != nullptr) set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.typed_bias);
  if (p.a_factors == nullptr) return;
  set(description, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, p.weight_factors);
  set(description, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, p.a_factors);
}

// Factors on the rows of both, multiplied by the library.
void set_factors_on_rows(const Description& description) {
  const auto mode = static_cast<int32_t>(CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
  set(description, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, mode);
  set(description, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, mode);
}

uint32_t alignment_of(const void* pointer) {
  uint32_t alignment = 256;
  while (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) alignment /= 2;
  return alignment;
}

// What the choice of an algorithm depends on.
struct Shape {
  int64_t rows, in, out, c_stride;
  Operand operands, result;
  bool bias;
  bool accumulate;
  uint32_t c_alignment;
  auto operator<=>(const Shape&) const = default;
};

struct Plan {
  Description description;
  Layout weight, a, c;
  cublasLtMatmulAlgo_t algorithm;
  bool found = false;
};

// A vocabulary of texts has many numbers of rows; beyond so many all plans are made anew.
constexpr size_t kMostPlans = 4096;
// What the fastest algorithms of Hopper ask for.
constexpr int64_t kWorkspaceBytes = 32 << 20;

class CublasProducts final : public Products {
 public:
  CublasProducts(std::shared_ptr<Device> device, Operand type)
      : device_(std::move(device)),
        type_(type),
        library_(make_library()),
        workspace_(device_, kWorkspaceBytes) {}

  std::string description() const override {
    const size_t version = cublasLtGetVersion();
    return "cuBLASLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100);
  }

  void multiply(const Product& p, Operand result) override {
    const Plan& plan = plan_of(p, result);
    if (!plan.found) return multiply_plainly(*device_, plain(p), p.operands(type_), result);
    set_pointers(plan.description, p);
    const float one = 1, added = p.accumulate ? 1 : 0;
    check(cublasLtMatmul(library_.get(), plan.description.get(), &one, p.weight, plan.weight.get(), p.a,
                         plan.a.get(), &added, p.c, plan.c.get(), p.c, plan.c.get(), &plan.algorithm,
                         workspace_.as(), kWorkspaceBytes, static_cast<cudaStream_t>(device_->stream())));
  }

 private:
  const Plan& plan_of(const Product& p, Operand result) {
    const Shape shape{.rows = p.rows,
                      .in = p.in,
                      .out = p.out,
                      .c_stride = p.c_stride,
                      .operands = p.operands(type_),
                      .result = result,
                      .bias = p.bias != nullptr,
                      .accumulate = p.accumulate,
                      .c_alignment = alignment_of(p.c)};
    const auto found = plans_.find(shape);
    if (found != plans_.end()) return found->second;
    if (plans_.size() >= kMostPlans) plans_.clear();
    return plans_.emplace(shape, make_plan(shape, p)).first->second;
  }

  Plan make_plan(const Shape& shape, const Product& p) const {
    Plan plan{make_description(shape.bias),
              make_layout(shape.operands, shape.in, shape.out, shape.in),
              make_layout(shape.operands, shape.in, shape.rows, shape.in),
              make_layout(shape.result, shape.out, shape.rows, shape.c_stride),
              {},
              false};
    if (shape.operands == Operand::f8) set_factors_on_rows(plan.description);
    set_pointers(plan.description, p);
    cublasLtMatmulPreference_t handle = nullptr;
    check(cublasLtMatmulPreferenceCreate(&handle));
    const Preference preference(handle);
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kWorkspaceBytes));
    // Operands and weights begin where memory was allocated.
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.c_alignment);
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.c_alignment);

    cublasLtMatmulHeuristicResult_t result{};
    int results = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        library_.get(), plan.description.get(), plan.weight.get(), plan.a.get(), plan.c.get(), plan.c.get(),
        preference.get(), 1, &result, &results);
    plan.found = status == CUBLAS_STATUS_SUCCESS && results == 1 && result.state == CUBLAS_STATUS_SUCCESS;
    plan.algorithm = result.algo;
    return plan;
  }

  std::shared_ptr<Device> device_;
  Operand type_;
  Library library_;
  Memory workspace_;
  std::map<Shape, Plan> plans_;
};

}  // namespace

std::unique_ptr<Products> Products::make(std::shared_ptr<Device> device, Operand type) {
  return std::make_unique<CublasProducts>(std::move(device), type);
}

}  // namespace mii::cuda
