#include "mii/image.h"

#include <algorithm>
#include <string>
#include <utility>

#include "image/codec.h"
#include "image/frame_source.h"

namespace mii {

void throw_invalid(const char* format, const std::string& what) {
  throw Error(ErrorCode::invalid_image, std::string(format) + ": " + what);
}

void check_size(uint64_t width, uint64_t height, const DecodeLimits& limits) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (width == 0 || height == 0)
    throw Error(ErrorCode::invalid_image, "the image is empty: " + size + " pixels");
  if (width > limits.max_pixels / height) {
    throw Error(ErrorCode::image_too_large, "the image has " + size + " pixels, at most " +
                                                std::to_string(limits.max_pixels) + " are decoded");
  }
}

uint8_t* Canvas::start(uint64_t width, uint64_t height) {
  check_size(width, height, limits_);
  width_ = static_cast<size_t>(width);
  height_ = static_cast<size_t>(height);
  pixels_ = std::make_unique_for_overwrite<uint8_t[]>(width_ * height_ * 3);
  return pixels_.get();
}

Image Canvas::take() {
  Image image = Image::adopt_rgb(width_, height_, std::move(pixels_));
  provenance.width = width_;
  provenance.height = height_;
  image.set_provenance(std::make_shared<const Provenance>(std::move(provenance)));
  return image;
}

void decode_onto(ImageFormat format, Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  switch (format) {
    case ImageFormat::jpeg:
      return image::decode_jpeg(bytes, options, canvas);
    case ImageFormat::png:
      return image::decode_png(bytes, options, canvas);
    case ImageFormat::tiff:
      return image::decode_tiff(bytes, options, canvas);
    case ImageFormat::webp:
      return image::decode_webp(bytes, options, canvas);
    case ImageFormat::bmp:
      return image::decode_bmp(bytes, options, canvas);
    case ImageFormat::pnm:
      return image::decode_pnm(bytes, options, canvas);
    case ImageFormat::dicom:
    case ImageFormat::nifti:
    case ImageFormat::unknown:
      throw Error(ErrorCode::internal, std::string(to_string(format)) + " is no image file");
  }
}

Image Image::decode(std::span<const std::byte> bytes, const DecodeOptions& options) {
  return FrameSource::view(bytes, options.limits).image(options);
}

Image Image::read(const std::filesystem::path& path, const DecodeOptions& options) {
  const FrameSource source = FrameSource::read(path, options.limits);
  try {
    return source.image(options);
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + ": " + error.what());
  }
}

Image Image::from_rgb(size_t width, size_t height, std::span<const uint8_t> pixels) {
  if (width == 0 || height == 0 || pixels.size() / 3 / width != height ||
      pixels.size() != width * height * 3) {
    throw Error(ErrorCode::invalid_argument, "an RGB image of " + std::to_string(width) + " x " +
                                                 std::to_string(height) + " pixels cannot have " +
                                                 std::to_string(pixels.size()) + " bytes");
  }
  auto copy = std::make_unique_for_overwrite<uint8_t[]>(pixels.size());
  std::ranges::copy(pixels, copy.get());
  return Image(width, height, std::move(copy));
}

Image Image::adopt_rgb(size_t width, size_t height, std::unique_ptr<uint8_t[]> pixels) {
  if (width == 0 || height == 0 || pixels == nullptr) {
    throw Error(ErrorCode::invalid_argument, "an RGB image without pixels");
  }
  return Image(width, height, std::move(pixels));
}

}  // namespace mii
