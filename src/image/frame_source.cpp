#include "image/frame_source.h"

#include <string>
#include <utility>

#include "image/medical_codec.h"

namespace mii {
namespace {

void check_bytes(uint64_t bytes, const DecodeLimits& limits) {
  if (bytes > limits.max_file_bytes)
    throw Error(ErrorCode::image_too_large, "a file of " + std::to_string(bytes) + " bytes, at most " +
                                                std::to_string(limits.max_file_bytes) + " are read");
}

Image finished(Canvas& canvas, const DecodeOptions& options) {
  return options.azure ? standardised(canvas.take(), *options.azure) : canvas.take();
}

}  // namespace

FrameSource::FrameSource(std::vector<std::byte> owned, std::span<const std::byte> bytes,
                         const DecodeLimits& limits)
    : owned_(std::move(owned)), bytes_(bytes), format_(sniff(bytes)) {
  check_bytes(bytes.size(), limits);
  if (format_ == ImageFormat::unknown) throw Error(ErrorCode::invalid_image, describe_unknown(bytes_));
  if (format_ == ImageFormat::dicom) dicom_.emplace(DicomFile::open(bytes_, dicom_limits(limits)));
  if (format_ != ImageFormat::nifti) return;
  nifti_.emplace(NiftiVolume::open(bytes_, nifti_limits(limits)));
  if (nifti_->info().compressed) owned_ = {};  // the volume has its own copy
}

FrameSource FrameSource::open(std::vector<std::byte> bytes, const DecodeLimits& limits) {
  const std::span<const std::byte> view(bytes);  // stays where it is when the vector moves
  return {std::move(bytes), view, limits};
}

FrameSource FrameSource::view(std::span<const std::byte> bytes, const DecodeLimits& limits) {
  return {{}, bytes, limits};
}

FrameSource FrameSource::read(const std::filesystem::path& path, const DecodeLimits& limits) {
  try {
    std::error_code unknown_size;
    if (const auto bytes = std::filesystem::file_size(path, unknown_size); !unknown_size)
      check_bytes(bytes, limits);
    return open(read_file(path, limits.max_file_bytes), limits);
  } catch (const Error& error) {
    const std::string what = error.what();
    throw Error(error.code(), what.starts_with(path.string()) ? what : path.string() + ": " + what);
  }
}

size_t FrameSource::frames(SlicePlane plane) const {
  if (dicom_) return dicom_->info().frames;
  if (nifti_) return nifti_->slices(plane) * nifti_->times();
  return 1;
}

Image FrameSource::image(const DecodeOptions& options) const {
  if (is_measured()) return shown(measured(options), options);
  if (options.frame.value_or(0) != 0)
    throw Error(ErrorCode::invalid_argument,
                "frame " + std::to_string(*options.frame + 1) + " of an image with one frame");
  Canvas canvas(options.limits);
  canvas.provenance.format = to_string(format_);
  decode_onto(format_, bytes_, options, canvas);
  return finished(canvas, options);
}

MeasuredFrame FrameSource::measured(const DecodeOptions& options) const {
  return dicom_ ? mii::measured(*dicom_, options) : mii::measured(*nifti_, options);
}

Image shown(const MeasuredFrame& frame, const DecodeOptions& options) {
  Canvas canvas(options.limits);
  canvas.provenance = frame.provenance;
  paint_frame(frame.values, frame.hints, options, canvas);
  return finished(canvas, options);
}

}  // namespace mii
