#include "onnx/tensor_values.h"

#include <charconv>
#include <cstring>
#include <system_error>

#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxElements = int64_t{1} << 40;

[[noreturn]] void refuse(const std::string& file_name, const std::string& tensor, const std::string& what) {
  throw Error(ErrorCode::corrupt_weights, file_name + ": tensor '" + tensor + "' " + what);
}

// What is said of external data under this key, or nothing.
const std::string* external_entry(const onnx::TensorProto& tensor, std::string_view key) {
  for (const onnx::StringStringEntryProto& entry : tensor.external_data())
    if (entry.key() == key) return &entry.value();
  return nullptr;
}

uint64_t external_number(const onnx::TensorProto& tensor, const char* key, uint64_t otherwise,
                         const std::string& file_name) {
  const std::string* text = external_entry(tensor, key);
  if (text == nullptr) return otherwise;
  uint64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end)
    refuse(file_name, tensor.name(),
           std::string("has external data with ") + key + " '" + text->substr(0, 40) +
               "', expected a number of bytes");
  return value;
}

// Inside of the folder, each part a folder or a file and no link.
fs::path external_path(const fs::path& graph_file, const std::string& location, const std::string& tensor) {
  const std::string file_name = graph_file.string();
  const std::string said = "has external data in '" + location.substr(0, 200) + "', ";
  const fs::path relative(location);
  if (location.find('\0') != std::string::npos)
    refuse(file_name, tensor, "has external data in a path with a zero byte");
  if (relative.empty() || relative.is_absolute())
    refuse(file_name, tensor, said + "expected a path below the graph's folder");
  fs::path path = graph_file.parent_path();
  for (const fs::path& part : relative) {
    if (part == "..") refuse(file_name, tensor, said + "which is outside of the graph's folder");
    path /= part;
    std::error_code none;
    if (fs::is_symlink(path, none)) refuse(file_name, tensor, said + "which is behind a symbolic link");
  }
  return path;
}

}  // namespace

Shape shape_of(const onnx::TensorProto& tensor, const std::string& file_name) {
  int64_t elements = 1;
  for (const int64_t side : tensor.dims()) {
    if (side < 0) refuse(file_name, tensor.name(), "has a dimension of " + std::to_string(side));
    if (side > 0 && elements > kMaxElements / side)
      refuse(file_name, tensor.name(), "has more than " + std::to_string(kMaxElements) + " elements");
    elements *= side;
  }
  return {tensor.dims().begin(), tensor.dims().end()};
}

std::optional<DType> weight_type(const onnx::TensorProto& tensor) {
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
      return DType::f32;
    case onnx::TensorProto::FLOAT16:
      return DType::f16;
    case onnx::TensorProto::BFLOAT16:
      return DType::bf16;
    default:
      return {};
  }
}

const WeightsFile& TensorValues::external_file(const std::string& location, const std::string& tensor) {
  const auto known = external_.find(location);
  if (known != external_.end()) return known->second;
  return external_.emplace(location, WeightsFile::open(external_path(graph_file_, location, tensor)))
      .first->second;
}

TensorView TensorValues::read_external(const onnx::TensorProto& tensor, TensorView view,
                                       AlignedBuffer<std::byte>& storage) {
  const std::string file_name = graph_file_.string();
  const std::string* location = external_entry(tensor, "location");
  if (location == nullptr) refuse(file_name, tensor.name(), "has external data without a location");
  const WeightsFile& file = external_file(*location, tensor.name());
  const uint64_t offset = external_number(tensor, "offset", 0, file_name);
  const uint64_t length = external_number(tensor, "length", view.bytes(), file_name);
  if (length != view.bytes())
    refuse(file_name, tensor.name(),
           "has " + std::to_string(length) + " bytes of external data, expected " +
               std::to_string(view.bytes()));
  if (offset > file.bytes() || length > file.bytes() - offset)
    refuse(file_name, tensor.name(),
           "has external data at bytes " + std::to_string(offset) + " + " + std::to_string(length) + " of '" +
               *location + "', which has " + std::to_string(file.bytes()));
  storage.reserve_discarding(view.bytes());
  file.read(offset, storage.span().first(view.bytes()));
  view.data = storage.data();
  return view;
}

TensorView TensorValues::read(const onnx::TensorProto& tensor, AlignedBuffer<std::byte>& storage) {
  const std::string file_name = graph_file_.string();
  TensorView view{nullptr, weight_type(tensor).value(), shape_of(tensor, file_name)};
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) return read_external(tensor, view, storage);
  const auto expect = [&](uint64_t found, uint64_t expected, const char* what) {
    if (found != expected)
      refuse(file_name, tensor.name(),
             to_string(view.shape) + " has " + std::to_string(found) + " " + what + ", expected " +
                 std::to_string(expected));
  };
  if (tensor.has_raw_data()) {
    expect(tensor.raw_data().size(), view.bytes(), "bytes");
    view.data = reinterpret_cast<const std::byte*>(tensor.raw_data().data());
    return view;
  }
  if (view.dtype == DType::f32) {
    expect(static_cast<uint64_t>(tensor.float_data_size()), static_cast<uint64_t>(view.elements()),
           "numbers");
    view.data = reinterpret_cast<const std::byte*>(tensor.float_data().data());
    return view;
  }
  // Two bytes each, in numbers of 32 bits.
  expect(static_cast<uint64_t>(tensor.int32_data_size()), static_cast<uint64_t>(view.elements()), "numbers");
  storage.reserve_discarding(view.bytes());
  for (int i = 0; i < tensor.int32_data_size(); ++i) {
    const auto bits = static_cast<uint16_t>(tensor.int32_data(i));
    std::memcpy(storage.data() + static_cast<size_t>(i) * sizeof bits, &bits, sizeof bits);
  }
  view.data = storage.data();
  return view;
}

}  // namespace mii
