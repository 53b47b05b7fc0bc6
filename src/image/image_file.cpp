#include "image/frame_source.h"

namespace mii {

class ImageFile::Impl {
 public:
  explicit Impl(FrameSource opened) : source(std::move(opened)) {}

  FrameSource source;
};

ImageFile::ImageFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImageFile::ImageFile(ImageFile&&) noexcept = default;
ImageFile::~ImageFile() = default;

ImageFile ImageFile::open(std::vector<std::byte> bytes, const DecodeLimits& limits) {
  return ImageFile(std::make_unique<Impl>(FrameSource::open(std::move(bytes), limits)));
}

ImageFile ImageFile::read(const std::filesystem::path& path, const DecodeLimits& limits) {
  return ImageFile(std::make_unique<Impl>(FrameSource::read(path, limits)));
}

size_t ImageFile::frames(SlicePlane plane) const { return impl_->source.frames(plane); }
Image ImageFile::frame(const DecodeOptions& options) const { return impl_->source.image(options); }

}  // namespace mii
