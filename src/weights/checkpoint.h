#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/tensor.h"
#include "weights/config.h"
#include "weights/weights_file.h"

namespace mii {

/// A tensor that a model of some configuration must have, under its published name.
struct TensorSpec {
  std::string name;
  Shape shape;
};

/// Every tensor of a model, image tower first, in the order of computation.
std::vector<TensorSpec> tensor_specs(const ModelConfig& config, int64_t vocabulary_size);

/// The published name of a tensor that an older checkpoint calls `name`; `name` itself when it has no older
/// name.
std::string published_name(std::string_view name);

/// The weights of one model: an open safetensors file whose tensors are the ones that the configuration asks
/// for. Values are not checked here: the functions that copy them (copy_as_float, copy_as_bfloat16) check
/// that they are finite.
class Checkpoint {
 public:
  /// Throws Error{corrupt_weights} that names all missing and all mis-shaped tensors at once (the first ten
  /// of each and how many more there are).
  static Checkpoint open(const std::filesystem::path& weights_file, const ModelConfig& config,
                         int64_t vocabulary_size);

  /// The tensor of this published name, read into memory; it stays there until it is released. Throws
  /// Error{internal} for a name that is not in tensor_specs(), else as WeightsFile::read does.
  TensorView tensor(std::string_view name) const;

  /// Gives the memory of a tensor back. No view of it may be used afterwards.
  void release(const TensorView& tensor) const;

  /// Reads one row of a matrix [rows, cols] into to[cols], converted as copy_as_float does.
  void read_row(std::string_view name, int64_t row, float* to) const;

  const std::filesystem::path& path() const { return path_; }
  uint64_t file_bytes() const { return file_.bytes(); }
  uint64_t parameters() const { return parameters_; }
  size_t tensors() const { return places_.size(); }
  /// "F32", "BF16", "F16", or "mixed".
  const std::string& stored_dtype() const { return stored_dtype_; }
  /// Tensors in the file that the model does not use, as sentences.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Place {
    uint64_t offset = 0;  // in the file
    TensorView view;      // without data
  };
  // The tensors that are in memory, by name.
  struct Loaded {
    std::mutex mutex;
    std::unordered_map<std::string, AlignedBuffer<std::byte>> tensors;  // guarded by mutex
  };

  Checkpoint(std::filesystem::path path, WeightsFile file) : path_(std::move(path)), file_(std::move(file)) {}
  const Place& place(const std::string& name) const;

  std::filesystem::path path_;
  WeightsFile file_;
  std::unordered_map<std::string, Place> places_;
  std::unique_ptr<Loaded> loaded_ = std::make_unique<Loaded>();
  std::vector<std::string> warnings_;
  std::string stored_dtype_;
  uint64_t parameters_ = 0;
};

/// Copies a tensor of F32, F16 or BF16 into to[elements], converted (round to nearest even).
/// Throws Error{corrupt_weights} that names the tensor and the first position that is NaN or infinite.
void copy_as_float(const TensorView& from, std::string_view name, float* to);
void copy_as_bfloat16(const TensorView& from, std::string_view name, BFloat16* to);

/// The same check, for tensors that are used in place. Throws as the copies do.
void expect_finite(const TensorView& tensor, std::string_view name);

}  // namespace mii
