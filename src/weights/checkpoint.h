#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
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

/// Every tensor of a report decoder.
std::vector<TensorSpec> report_decoder_specs(const ReportDecoderConfig& config);

/// Whether int8 computes with this tensor in bytes: the matrices of the blocks, and the convolutions between
/// the stages. The first convolution and the projections are small, and what they lose is not made up for.
bool is_int8_layer(const TensorSpec& spec);

/// The name of the factors [rows] beside a matrix of int8.
std::string scales_name(std::string_view matrix);

/// The published name of a tensor that an older checkpoint calls `name`; `name` itself when it has no older
/// name.
std::string published_name(std::string_view name);

/// Factors [C] on the last dimension of tensors [..., C], by the tensors' names. Powers of two: products that
/// one of them makes larger and another smaller stay what they were to the last bit.
using ColumnFactors = std::map<std::string, std::vector<float>>;

/// The weights of one model, or of a report decoder: an open safetensors file whose tensors are the ones that
/// the configuration asks for, of F32, F16 or BF16; those of int8 layers may be I8 with their scales beside
/// them. Values are not checked here: the functions that copy them (copy_as_float, copy_as_bfloat16,
/// copy_as_float16) check that they are finite.
class Checkpoint {
 public:
  /// Throws Error{corrupt_weights} that names all missing and all mis-shaped tensors at once (the first ten
  /// of each and how many more there are).
  static Checkpoint open(const std::filesystem::path& weights_file, const ModelConfig& config,
                         int64_t vocabulary_size);

  /// The same, with the tensors that are listed.
  static Checkpoint open(const std::filesystem::path& weights_file, const std::vector<TensorSpec>& specs);

  /// The tensor of this published name, read into memory; it stays there until it is released. Throws
  /// Error{internal} for a name that is not in tensor_specs(), else as WeightsFile::read does.
  TensorView tensor(std::string_view name) const;

  /// From now on the values of these tensors, of float types, are read times these factors.
  void scale_columns(ColumnFactors factors) { column_factors_ = std::move(factors); }

  /// What is known of a tensor without reading it.
  const Shape& shape(std::string_view name) const { return place(std::string(name)).view.shape; }
  DType dtype(std::string_view name) const { return place(std::string(name)).view.dtype; }

  /// The factor on each row of a tensor of I8. Throws Error{corrupt_weights} for one that is not a positive
  /// finite number.
  std::vector<float> scales(std::string_view name) const;

  /// Copies a tensor's values as dtype, f32, f16 or bf16, and gives its memory back. Throws as copy_as_float
  /// does, and as scales().
  void copy_as(DType dtype, std::string_view name, std::byte* to) const;

  /// Gives the memory of a tensor back. No view of it may be used afterwards.
  void release(const TensorView& tensor) const;

  /// Gives back the room that release() keeps for the next tensor.
  void free_room() const;

  /// Reads one row of a matrix [rows, cols] into to[cols], converted as copy_as_float does.
  void read_row(std::string_view name, int64_t row, float* to) const;

  const std::filesystem::path& path() const { return path_; }
  uint64_t file_bytes() const { return file_.bytes(); }
  uint64_t parameters() const { return parameters_; }
  size_t tensors() const { return places_.size(); }
  /// "F32", "BF16", "F16", or "mixed".
  const std::string& stored_dtype() const { return stored_dtype_; }
  /// Whether some of the matrices are I8.
  bool holds_int8() const { return !scale_places_.empty(); }
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
    // Guarded by mutex. The room of the last that was released serves the next: memory that is used for the
    // first time costs more than reading.
    std::unordered_map<std::string, AlignedBuffer<std::byte>> tensors;
    AlignedBuffer<std::byte> room;
  };

  Checkpoint(std::filesystem::path path, WeightsFile file) : path_(std::move(path)), file_(std::move(file)) {}
  const Place& place(const std::string& name) const;
  void copy_int8_as(DType dtype, const TensorView& tensor, std::string_view name, std::byte* to) const;

  std::filesystem::path path_;
  WeightsFile file_;
  std::unordered_map<std::string, Place> places_;
  std::unordered_map<std::string, Place> scale_places_;  // by the names of their matrices
  ColumnFactors column_factors_;
  std::unique_ptr<Loaded> loaded_ = std::make_unique<Loaded>();
  std::vector<std::string> warnings_;
  std::string stored_dtype_;
  uint64_t parameters_ = 0;
};

/// Copies a tensor of F32, F16 or BF16 into to[elements], converted (round to nearest even).
/// Throws Error{corrupt_weights} that names the tensor and the first position that is NaN or infinite.
void copy_as_float(const TensorView& from, std::string_view name, float* to);
void copy_as_bfloat16(const TensorView& from, std::string_view name, BFloat16* to);
/// A value beyond 65504 counts as not finite.
void copy_as_float16(const TensorView& from, std::string_view name, Float16* to);

/// One of the three. dtype: f32, f16 or bf16.
void copy_as(DType dtype, const TensorView& from, std::string_view name, std::byte* to);

/// The same check, for tensors that are used in place. Throws as the copies do.
void expect_finite(const TensorView& tensor, std::string_view name);

}  // namespace mii
