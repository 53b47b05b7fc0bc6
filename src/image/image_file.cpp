#include <optional>

#include "core/file.h"
#include "image/medical_codec.h"
#include "image/sniff.h"

namespace mii {

class ImageFile::Impl {
 public:
  Impl(std::vector<std::byte> bytes, const DecodeLimits& limits) : bytes_(std::move(bytes)) {
    if (bytes_.size() > limits.max_file_bytes)
      throw Error(ErrorCode::image_too_large, "a file of " + std::to_string(bytes_.size()) +
                                                  " bytes, at most " + std::to_string(limits.max_file_bytes) +
                                                  " are read");
    const ImageFormat format = sniff(bytes_);
    if (format == ImageFormat::unknown) throw Error(ErrorCode::invalid_image, describe_unknown(bytes_));
    if (format == ImageFormat::dicom) dicom_.emplace(DicomFile::open(bytes_, dicom_limits(limits)));
    if (format == ImageFormat::nifti) {
      nifti_.emplace(NiftiVolume::open(bytes_, nifti_limits(limits)));
      if (nifti_->info().compressed) bytes_ = {};  // the volume has its own copy
    }
  }

  size_t frames(SlicePlane plane) const {
    if (dicom_) return dicom_->info().frames;
    if (nifti_) return nifti_->slices(plane) * nifti_->times();
    return 1;
  }

  Image frame(const DecodeOptions& options) const {
    if (!dicom_ && !nifti_) {
      if (options.frame.value_or(0) != 0)
        throw Error(ErrorCode::invalid_argument,
                    "frame " + std::to_string(*options.frame + 1) + " of a picture with one frame");
      return Image::decode(bytes_, options);
    }
    Canvas canvas(options.limits);
    if (dicom_) {
      canvas.provenance.format = to_string(ImageFormat::dicom);
      paint(*dicom_, options, canvas);
    } else {
      paint(*nifti_, options, canvas);
    }
    return options.azure ? standardised(canvas.take(), *options.azure) : canvas.take();
  }

 private:
  std::vector<std::byte> bytes_;
  std::optional<DicomFile> dicom_;    // looks into bytes_
  std::optional<NiftiVolume> nifti_;  // looks into bytes_ unless they were compressed
};

ImageFile::ImageFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImageFile::ImageFile(ImageFile&&) noexcept = default;
ImageFile::~ImageFile() = default;

ImageFile ImageFile::open(std::vector<std::byte> bytes, const DecodeLimits& limits) {
  return ImageFile(std::make_unique<Impl>(std::move(bytes), limits));
}

ImageFile ImageFile::read(const std::filesystem::path& path, const DecodeLimits& limits) {
  std::vector<std::byte> bytes = read_file(path, limits.max_file_bytes);
  try {
    return open(std::move(bytes), limits);
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + ": " + error.what());
  }
}

size_t ImageFile::frames(SlicePlane plane) const { return impl_->frames(plane); }
Image ImageFile::frame(const DecodeOptions& options) const { return impl_->frame(options); }

}  // namespace mii
