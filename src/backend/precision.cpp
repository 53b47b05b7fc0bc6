#include "backend/precision.h"

#include "mii/error.h"

namespace mii {
namespace {

constexpr const char* kAutomatic = "auto";

// Unit vectors whose cosine distance is d are sqrt(2 d) apart, so no value differs by more: 0.02 for 2e-4.
constexpr PrecisionInfo kPrecisions[] = {
    {.precision = Precision::f32,
     .name = "f32",
     .weights = DType::f32,
     .taken_by_auto = true,
     .operand_rounding = 0x1p-24,
     .cosine_distance = 1e-8,
     .difference = 3e-6,
     .probability = 1e-3},
    // Operands are rounded four times as finely as in bf16 or finer, so vectors differ by a quarter.
    {.precision = Precision::f16,
     .name = "f16",
     .weights = DType::f16,
     .taken_by_auto = false,
     .operand_rounding = 0x1p-11,
     .cosine_distance = 2e-4 / 16,
     .difference = 0.02 / 4,
     .probability = 1},
    {.precision = Precision::bf16,
     .name = "bf16",
     .weights = DType::bf16,
     .taken_by_auto = true,
     .operand_rounding = 0x1p-8,
     .cosine_distance = 2e-4,
     .difference = 0.02,
     .probability = 1},
    {.precision = Precision::int8,
     .name = "int8",
     .weights = DType::i8,
     .taken_by_auto = false,
     .maps = false,
     .operand_rounding = 1.0 / 254,
     .cosine_distance = 3e-4,
     .difference = 0.025,
     .probability = 1},
    // Operands are rounded 16 times as coarsely as in bf16, so vectors differ by 16 times as much. A backend
    // rounds the weights itself.
    {.precision = Precision::fp8,
     .name = "fp8",
     .weights = DType::f32,
     .taken_by_auto = false,
     .maps = false,
     .operand_rounding = 0x1p-4,
     .cosine_distance = 2e-4 * 256,
     .difference = 0.02 * 16,
     .probability = 1},
};

}  // namespace

std::span<const PrecisionInfo> precisions() { return kPrecisions; }

const PrecisionInfo& info_of(Precision precision) {
  for (const PrecisionInfo& info : kPrecisions)
    if (info.precision == precision) return info;
  throw Error(ErrorCode::internal, "a precision that is not in the table");
}

std::string precision_names() {
  std::string names(kAutomatic);
  for (const PrecisionInfo& info : kPrecisions)
    names += (&info == &precisions().back() ? " or " : ", ") + std::string(info.name);
  return names;
}

const char* to_string(Precision precision) {
  return precision == Precision::automatic ? kAutomatic : info_of(precision).name;
}

Precision parse_precision(std::string_view name) {
  if (name == kAutomatic) return Precision::automatic;
  for (const PrecisionInfo& info : kPrecisions)
    if (name == info.name) return info.precision;
  throw Error(ErrorCode::invalid_argument,
              "precision '" + std::string(name) + "', expected " + precision_names());
}

}  // namespace mii
