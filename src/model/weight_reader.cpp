#include "model/weight_reader.h"

#include "backend/precision.h"
#include "core/aligned_buffer.h"
#include "mii/error.h"

namespace mii {
namespace {

// [out, in, height, width] to [out, height, width, in], the order in which a patch's values lie in memory.
std::vector<float> channels_last(const std::vector<float>& from, const Shape& shape) {
  const int64_t out = shape[0], in = shape[1], area = shape[2] * shape[3];
  std::vector<float> to(from.size());
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = 0; i < in; ++i)
      for (int64_t k = 0; k < area; ++k) to[(o * area + k) * in + i] = from[(o * in + i) * area + k];
  return to;
}

TensorView view_of(const std::vector<float>& values, Shape shape) {
  return {reinterpret_cast<const std::byte*>(values.data()), DType::f32, std::move(shape)};
}

// Copies a tensor, converted to one of the types in which a precision takes weights.
void copy_as(DType dtype, const TensorView& from, const std::string& name, std::byte* to) {
  switch (dtype) {
    case DType::f32:
      return copy_as_float(from, name, reinterpret_cast<float*>(to));
    case DType::bf16:
      return copy_as_bfloat16(from, name, reinterpret_cast<BFloat16*>(to));
    default:
      throw Error(ErrorCode::internal, std::string("no conversion of weights to ") + to_string(dtype));
  }
}

}  // namespace

float WeightReader::scalar(const std::string& name) const { return vector(name).at(0); }

std::vector<float> WeightReader::vector(const std::string& name) const {
  const TensorView tensor = checkpoint_.tensor(name);
  std::vector<float> values(tensor.elements());
  copy_as_float(tensor, name, values.data());
  checkpoint_.release(tensor);
  return values;
}

Vector WeightReader::stored(const std::string& name) const { return backend_.store(vector(name)); }

Linear WeightReader::linear(const std::string& prefix) const {
  return linear(prefix + ".weight", prefix + ".bias");
}

Linear WeightReader::linear(const std::string& weight, const std::string& bias) const {
  const TensorView matrix = checkpoint_.tensor(weight);
  return {pack(matrix, weight, StoredMatrix::Layout::out_in), stored(bias), matrix.shape[1], matrix.shape[0]};
}

Linear WeightReader::projection(const std::string& name) const {
  const TensorView matrix = checkpoint_.tensor(name);
  return {pack(matrix, name, StoredMatrix::Layout::in_out), {}, matrix.shape[0], matrix.shape[1]};
}

LayerNorm WeightReader::layer_norm(const std::string& prefix, float epsilon) const {
  return {stored(prefix + ".weight"), stored(prefix + ".bias"), epsilon};
}

PatchConv WeightReader::patch_conv(const std::string& prefix, int64_t stride, int64_t padding) const {
  const std::string name = prefix + ".weight";
  const Shape shape = checkpoint_.tensor(name).shape;
  const std::vector<float> values = channels_last(vector(name), shape);
  const TensorView matrix = view_of(values, {shape[0], shape[1] * shape[2] * shape[3]});
  PatchConv conv{.linear = {pack(matrix, name, StoredMatrix::Layout::out_in), stored(prefix + ".bias"),
                            matrix.shape[1], matrix.shape[0]},
                 .size = shape[2],
                 .stride = stride,
                 .padding = padding};
  return conv;
}

DepthwiseConv WeightReader::depthwise_conv(const std::string& prefix) const {
  const std::string name = prefix + ".weight";
  const Shape shape = checkpoint_.tensor(name).shape;
  // [C, 1, 3, 3] is one "output" of C channels for this purpose.
  return {backend_.store(channels_last(vector(name), {1, shape[0], shape[2], shape[3]})),
          stored(prefix + ".bias")};
}

TokenEmbedding WeightReader::token_embedding(const std::string& tokens, const std::string& places) const {
  const TensorView table = checkpoint_.tensor(tokens);
  expect_finite(table, tokens);
  checkpoint_.release(table);
  const auto read = [checkpoint = &checkpoint_, tokens](int64_t row, float* to) {
    checkpoint->read_row(tokens, row, to);
  };
  return {backend_.pack_table({table.shape[0], table.shape[1], read}), stored(places)};
}

std::unique_ptr<PackedMatrix> WeightReader::pack(const TensorView& matrix, const std::string& name,
                                                 StoredMatrix::Layout layout) const {
  const DType dtype = info_of(backend_.precision()).weights;
  const bool aligned = reinterpret_cast<uintptr_t>(matrix.data) % size_of(dtype) == 0;
  if (matrix.dtype == dtype && aligned) {
    expect_finite(matrix, name);
    auto packed = backend_.pack({.values = matrix, .layout = layout});
    checkpoint_.release(matrix);
    return packed;
  }
  AlignedBuffer<std::byte> copy(static_cast<size_t>(matrix.elements()) * size_of(dtype));
  copy_as(dtype, matrix, name, copy.data());
  checkpoint_.release(matrix);
  return backend_.pack({.values = {copy.data(), dtype, matrix.shape}, .layout = layout});
}

}  // namespace mii
