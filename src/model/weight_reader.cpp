#include "model/weight_reader.h"

#include "backend/precision.h"
#include "core/aligned_buffer.h"
#include "core/int8_matrix.h"

namespace mii {
namespace {

// [out, in, height, width] to [out, height, width, in], the order in which a patch's values lie in memory.
template <typename T>
void channels_last(const T* from, const Shape& shape, T* to) {
  const int64_t out = shape[0], in = shape[1], area = shape[2] * shape[3];
  for (int64_t o = 0; o < out; ++o)
    for (int64_t k = 0; k < area; ++k)
      for (int64_t i = 0; i < in; ++i) to[(o * area + k) * in + i] = from[(o * in + i) * area + k];
}

std::vector<float> channels_last(const std::vector<float>& from, const Shape& shape) {
  std::vector<float> to(from.size());
  channels_last(from.data(), shape, to.data());
  return to;
}

TensorView view_of(const std::vector<float>& values, Shape shape) {
  return {reinterpret_cast<const std::byte*>(values.data()), DType::f32, std::move(shape)};
}

}  // namespace

float WeightReader::scalar(const std::string& name) const { return vector(name).at(0); }

std::vector<float> WeightReader::vector(const std::string& name) const {
  std::vector<float> values(static_cast<size_t>(element_count(checkpoint_.shape(name))));
  checkpoint_.copy_as(DType::f32, name, reinterpret_cast<std::byte*>(values.data()));
  return values;
}

Vector WeightReader::stored(const std::string& name) const { return backend_.store(vector(name)); }

Linear WeightReader::linear(const std::string& prefix) const {
  return linear(prefix + ".weight", prefix + ".bias");
}

Linear WeightReader::linear(const std::string& weight, const std::string& bias) const {
  const Shape shape = checkpoint_.shape(weight);
  return {pack(weight, StoredMatrix::Layout::out_in), stored(bias), shape[1], shape[0]};
}

Linear WeightReader::linear_without_bias(const std::string& name) const {
  const Shape shape = checkpoint_.shape(name);
  return {pack(name, StoredMatrix::Layout::out_in), {}, shape[1], shape[0]};
}

Linear WeightReader::projection(const std::string& name) const {
  const Shape shape = checkpoint_.shape(name);
  return {pack(name, StoredMatrix::Layout::in_out), {}, shape[0], shape[1]};
}

Linear WeightReader::linear_backward(const std::string& prefix) const {
  return projection(prefix + ".weight");
}

Linear WeightReader::projection_backward(const std::string& name) const {
  const Shape shape = checkpoint_.shape(name);
  return {pack(name, StoredMatrix::Layout::out_in), {}, shape[1], shape[0]};
}

Linear WeightReader::patch_conv_backward(const std::string& prefix) const {
  const std::string name = prefix + ".weight";
  const Shape shape = checkpoint_.shape(name);
  const Shape matrix{shape[0], shape[1] * shape[2] * shape[3]};
  return {pack_floats(name, channels_last(vector(name), shape), matrix, operands({name, shape}),
                      StoredMatrix::Layout::in_out),
          {},
          matrix[0],
          matrix[1]};
}

LayerNorm WeightReader::layer_norm(const std::string& prefix, float epsilon) const {
  return {stored(prefix + ".weight"), stored(prefix + ".bias"), epsilon};
}

PatchConv WeightReader::patch_conv(const std::string& prefix, int64_t stride, int64_t padding) const {
  const std::string name = prefix + ".weight";
  const Shape shape = checkpoint_.shape(name);
  const Shape matrix{shape[0], shape[1] * shape[2] * shape[3]};
  return {.linear = {pack_channels_last(name, shape), stored(prefix + ".bias"), matrix[1], matrix[0]},
          .size = shape[2],
          .stride = stride,
          .padding = padding};
}

DepthwiseConv WeightReader::depthwise_conv(const std::string& prefix) const {
  const std::string name = prefix + ".weight";
  const Shape shape = checkpoint_.shape(name);
  // [C, 1, 3, 3] is one "output" of C channels for this purpose.
  return {backend_.store(channels_last(vector(name), {1, shape[0], shape[2], shape[3]})),
          stored(prefix + ".bias")};
}

TokenEmbedding WeightReader::token_embedding(const std::string& tokens, const std::string& places) const {
  const TensorView table = checkpoint_.tensor(tokens);
  expect_finite(table, tokens);
  checkpoint_.release(table);
  checkpoint_.free_room();  // no other tensor needs as much
  const auto read = [checkpoint = &checkpoint_, tokens](int64_t row, float* to) {
    checkpoint->read_row(tokens, row, to);
  };
  return {backend_.pack_table({table.shape[0], table.shape[1], read}), stored(places)};
}

DType WeightReader::operands(const TensorSpec& matrix) const {
  const DType type = info_of(backend_.precision()).weights;
  if (type != DType::i8) return type;
  if (!is_int8_layer(matrix)) return DType::f32;
  // A folder that was written for int8 says itself which layers are not to be.
  const bool keep = keep_float_ ? keep_float_(matrix.name)
                                : checkpoint_.holds_int8() && checkpoint_.dtype(matrix.name) != DType::i8;
  return keep ? backend_.float_operands() : DType::i8;
}

std::unique_ptr<PackedMatrix> WeightReader::pack(const std::string& name, StoredMatrix::Layout layout) const {
  const TensorView matrix = checkpoint_.tensor(name);
  const DType dtype = operands({name, matrix.shape});
  const bool aligned = reinterpret_cast<uintptr_t>(matrix.data) % size_of(dtype) == 0;
  if (matrix.dtype == dtype && aligned) {
    const bool bytes = dtype == DType::i8;
    if (!bytes) expect_finite(matrix, name);
    const std::vector<float> scales = bytes ? checkpoint_.scales(name) : std::vector<float>();
    auto packed = backend_.pack({.values = matrix, .layout = layout, .scales = scales});
    checkpoint_.release(matrix);
    return packed;
  }
  const Shape shape = matrix.shape;
  if (dtype == DType::i8) return pack_floats(name, vector(name), shape, dtype);
  AlignedBuffer<std::byte> copy(static_cast<size_t>(matrix.elements()) * size_of(dtype));
  checkpoint_.copy_as(dtype, name, copy.data());
  return backend_.pack({.values = {copy.data(), dtype, shape}, .layout = layout});
}

std::unique_ptr<PackedMatrix> WeightReader::pack_channels_last(const std::string& name,
                                                               const Shape& shape) const {
  const Shape matrix{shape[0], shape[1] * shape[2] * shape[3]};
  const DType dtype = operands({name, shape});
  if (dtype == DType::i8) return pack_floats(name, channels_last(vector(name), shape), matrix, dtype);
  const size_t bytes = static_cast<size_t>(element_count(shape)) * size_of(dtype);
  AlignedBuffer<std::byte> stored(bytes), moved(bytes);
  checkpoint_.copy_as(dtype, name, stored.data());
  const auto move = [&]<typename T>(T) {
    channels_last(reinterpret_cast<const T*>(stored.data()), shape, reinterpret_cast<T*>(moved.data()));
  };
  if (size_of(dtype) == sizeof(uint16_t))
    move(uint16_t{});
  else
    move(uint32_t{});
  return backend_.pack({.values = {moved.data(), dtype, matrix}});
}

std::unique_ptr<PackedMatrix> WeightReader::pack_floats(const std::string& name,
                                                        const std::vector<float>& values, const Shape& shape,
                                                        DType dtype, StoredMatrix::Layout layout) const {
  if (dtype == DType::i8) {
    const Int8Matrix matrix = quantise_matrix(values.data(), shape[0], shape[1]);
    return backend_.pack({.values = {reinterpret_cast<const std::byte*>(matrix.values.data()), dtype, shape},
                          .scales = matrix.scales});
  }
  const TensorView floats = view_of(values, shape);
  if (dtype == DType::f32) return backend_.pack({.values = floats, .layout = layout});
  AlignedBuffer<std::byte> copy(values.size() * size_of(dtype));
  copy_as(dtype, floats, name, copy.data());
  return backend_.pack({.values = {copy.data(), dtype, shape}, .layout = layout});
}

}  // namespace mii
