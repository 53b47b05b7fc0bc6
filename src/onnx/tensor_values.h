#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/aligned_buffer.h"
#include "core/tensor.h"
#include "weights/weights_file.h"

namespace mii {

/// The sizes of a tensor in a graph. Throws Error{corrupt_weights} for a negative one, and for more elements
/// than any model has.
Shape shape_of(const onnx::TensorProto& tensor, const std::string& file_name);

/// F32, F16 or BF16; nothing for another type.
std::optional<DType> weight_type(const onnx::TensorProto& tensor);

/// The numbers of a graph's tensors, in the graph's file or in files beside it, which are opened once.
class TensorValues {
 public:
  explicit TensorValues(std::filesystem::path graph_file) : graph_file_(std::move(graph_file)) {}

  /// tensor: of a weight_type(). The view borrows from the tensor, or from `storage` where the numbers are
  /// not stored as they are in memory. Throws Error{corrupt_weights} when there are not as many numbers as
  /// the shape has, and for external data outside of the graph's folder or behind a symbolic link; else as
  /// WeightsFile does.
  TensorView read(const onnx::TensorProto& tensor, AlignedBuffer<std::byte>& storage);

 private:
  TensorView read_external(const onnx::TensorProto& tensor, TensorView view,
                           AlignedBuffer<std::byte>& storage);
  const WeightsFile& external_file(const std::string& location, const std::string& tensor);

  std::filesystem::path graph_file_;
  std::map<std::string, WeightsFile> external_;  // by location
};

}  // namespace mii
