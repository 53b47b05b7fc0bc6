#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "core/file.h"
#include "image/sniff.h"
#include "medical/dicom_file.h"
#include "medical/nifti.h"
#include "medical/present.h"
#include "mii/image.h"

namespace mii {

/// A frame as it was measured, what its file says of it, and how it would be recorded.
struct MeasuredFrame {
  Frame values;
  DisplayHints hints;
  Provenance provenance;  ///< but for what the profile decides
};

/// Anything that has images: a DICOM object, a NIfTI volume, or an image file (one frame). What it is gets
/// told by its content, and it is opened once, here and nowhere else. Const functions may run on several
/// threads.
class FrameSource {
 public:
  /// Takes over the bytes of a file. Throws as Image::decode does; an image file is decoded by image() only.
  static FrameSource open(std::vector<std::byte> bytes, const DecodeLimits& limits = {});
  /// The same of bytes that outlive it.
  static FrameSource view(std::span<const std::byte> bytes, const DecodeLimits& limits = {});
  /// Reads a file. Throws as open does, naming the file, and Error{io} when it cannot be read.
  static FrameSource read(const std::filesystem::path& path, const DecodeLimits& limits = {});

  FrameSource(FrameSource&&) noexcept = default;

  /// How many images it has; of a NIfTI volume: slices along the plane times points in time, all slices of
  /// the first time first.
  size_t frames(SlicePlane plane = SlicePlane::axial) const;

  /// As Image::decode.
  Image image(const DecodeOptions& options = {}) const;

  /// Measured values of options.frame. Precondition: is_measured().
  MeasuredFrame measured(const DecodeOptions& options) const;
  bool is_measured() const { return dicom_ || nifti_; }

  /// Null for anything else.
  const DicomFile* dicom() const { return dicom_ ? &*dicom_ : nullptr; }
  const NiftiVolume* nifti() const { return nifti_ ? &*nifti_ : nullptr; }

 private:
  FrameSource(std::vector<std::byte> owned, std::span<const std::byte> bytes, const DecodeLimits& limits);

  std::vector<std::byte> owned_;
  std::span<const std::byte> bytes_;  // of owned_, or of the caller
  ImageFormat format_ = ImageFormat::unknown;
  std::optional<DicomFile> dicom_;    // looks into bytes_
  std::optional<NiftiVolume> nifti_;  // looks into bytes_ unless they were compressed
};

/// What a measured frame looks like by options.profile.
Image shown(const MeasuredFrame& frame, const DecodeOptions& options);

}  // namespace mii
