#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "core/tensor.h"
#include "weights/weights_file.h"

namespace mii {

/// A tensor as a safetensors header describes it.
struct StoredTensor {
  std::string dtype;  ///< as written: "F32", "BF16", "I64", ...
  Shape shape;
  uint64_t offset = 0;  ///< of its first byte in the file
  uint64_t bytes = 0;
  std::span<const std::byte>
      data;  ///< borrowed from the bytes that were parsed; empty when only the header was

  /// Throws Error{corrupt_weights} for a type that this project does not compute with.
  TensorView view(std::string_view name, std::string_view file_name) const;
};

struct Safetensors {
  std::map<std::string, StoredTensor, std::less<>> tensors;
  std::map<std::string, std::string, std::less<>> metadata;
};

/// Parses a safetensors file (8 bytes of header length, JSON, data) in memory.
/// Throws Error{corrupt_weights} unless the header is well-formed, names are unique, sizes fit shapes and
/// types, and the data of the tensors cover the rest of the file without a gap or an overlap. Source:
/// github.com/huggingface/safetensors, "Format".
Safetensors parse_safetensors(std::span<const std::byte> bytes, std::string_view file_name);

/// The same of a file of which only the header is read: the tensors come without their data.
/// Throws as parse_safetensors and WeightsFile::read do.
Safetensors read_safetensors_header(const WeightsFile& file, std::string_view file_name);

/// Writes a safetensors file tensor by tensor, so that it may be larger than memory.
class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
  };

  /// Throws Error{io} when the file cannot be made.
  SafetensorsWriter(const std::filesystem::path& path, const std::vector<Entry>& entries,
                    const std::map<std::string, std::string>& metadata = {});

  /// The next bytes of the data, in the order of the entries.
  void write(std::span<const std::byte> bytes);

  /// Gives the file its name. Throws Error{internal} when the data are not complete.
  void commit();

 private:
  AtomicFile file_;
  uint64_t missing_bytes_ = 0;
};

}  // namespace mii
