#include "model/weight_reader.h"

#include "core/aligned_buffer.h"

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

}  // namespace

float WeightReader::scalar(const std::string& name) const { return vector(name).at(0); }

std::vector<float> WeightReader::vector(const std::string& name) const {
  const TensorView tensor = checkpoint_.tensor(name);
  std::vector<float> values(tensor.elements());
  copy_as_float(tensor, name, values.data());
  checkpoint_.release(tensor);
  return values;
}

Linear WeightReader::linear(const std::string& prefix) const {
  return linear(prefix + ".weight", prefix + ".bias");
}

Linear WeightReader::linear(const std::string& weight, const std::string& bias) const {
  const TensorView matrix = checkpoint_.tensor(weight);
  return {pack(matrix, weight, Backend::WeightLayout::out_in), vector(bias), matrix.shape[1],
          matrix.shape[0]};
}

Linear WeightReader::projection(const std::string& name) const {
  const TensorView matrix = checkpoint_.tensor(name);
  return {pack(matrix, name, Backend::WeightLayout::in_out), {}, matrix.shape[0], matrix.shape[1]};
}

LayerNorm WeightReader::layer_norm(const std::string& prefix, float epsilon) const {
  return {vector(prefix + ".weight"), vector(prefix + ".bias"), epsilon};
}

PatchConv WeightReader::patch_conv(const std::string& prefix, int64_t stride, int64_t padding) const {
  const std::string name = prefix + ".weight";
  const Shape shape = checkpoint_.tensor(name).shape;
  const std::vector<float> values = channels_last(vector(name), shape);
  const TensorView matrix = view_of(values, {shape[0], shape[1] * shape[2] * shape[3]});
  PatchConv conv{.linear = {pack(matrix, name, Backend::WeightLayout::out_in), vector(prefix + ".bias"),
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
  return {channels_last(vector(name), {1, shape[0], shape[2], shape[3]}), vector(prefix + ".bias")};
}

std::unique_ptr<PackedMatrix> WeightReader::pack(const TensorView& matrix, const std::string& name,
                                                 Backend::WeightLayout layout) const {
  const DType dtype = backend_.weight_dtype();
  const bool aligned = reinterpret_cast<uintptr_t>(matrix.data) % size_of(dtype) == 0;
  if (matrix.dtype == dtype && aligned) {
    expect_finite(matrix, name);
    auto packed = backend_.pack(matrix, layout);
    checkpoint_.release(matrix);
    return packed;
  }
  AlignedBuffer<std::byte> copy(static_cast<size_t>(matrix.elements()) * size_of(dtype));
  if (dtype == DType::bf16)
    copy_as_bfloat16(matrix, name, reinterpret_cast<BFloat16*>(copy.data()));
  else
    copy_as_float(matrix, name, reinterpret_cast<float*>(copy.data()));
  checkpoint_.release(matrix);
  return backend_.pack({copy.data(), dtype, matrix.shape}, layout);
}

}  // namespace mii
