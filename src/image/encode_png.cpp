#include "image/encode_png.h"

#include <png.h>

#include "mii/error.h"

namespace mii {

std::vector<std::byte> encode_png(const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width());
  png.height = static_cast<png_uint_32>(image.height());
  png.format = PNG_FORMAT_RGB;
  std::vector<std::byte> bytes(PNG_IMAGE_PNG_SIZE_MAX(png));
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels().data(), 0, nullptr) == 0)
    throw Error(ErrorCode::internal, std::string("the PNG could not be written: ") + png.message);
  bytes.resize(size);
  return bytes;
}

}  // namespace mii
