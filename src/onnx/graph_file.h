#pragma once

#include <onnx/onnx_pb.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace mii {

/// Reads an ONNX file: its graph, with the tensors that are inside of the file. Throws Error{corrupt_weights}
/// for a file that is no ONNX, is damaged or is larger than a file of protobuf can be (2 GiB), and for one of
/// more parts, or nested deeper, than a model has; Error{io}.
onnx::ModelProto read_graph_file(const std::filesystem::path& file);

/// The same of bytes in memory. file_name: for messages.
onnx::ModelProto parse_graph(std::span<const std::byte> bytes, const std::string& file_name);

}  // namespace mii
