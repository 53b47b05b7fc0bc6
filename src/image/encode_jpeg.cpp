#include "image/encode_jpeg.h"

#include <cstdio>
#include <cstdlib>
#include <span>

#include <jpeglib.h>

namespace mii {
namespace {

bool is_grey(std::span<const uint8_t> rgb) {
  for (size_t i = 0; i < rgb.size(); i += 3)
    if (rgb[i] != rgb[i + 1] || rgb[i] != rgb[i + 2]) return false;
  return true;
}

}  // namespace

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  const bool grey = is_grey(image.pixels());
  jpeg_compress_struct info{};
  jpeg_error_mgr error{};
  info.err = jpeg_std_error(&error);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = static_cast<JDIMENSION>(image.width());
  info.image_height = static_cast<JDIMENSION>(image.height());
  info.input_components = grey ? 1 : 3;
  info.in_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  info.optimize_coding = TRUE;
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> row(image.width() * static_cast<size_t>(info.input_components));
  const uint8_t* from = image.pixels().data();
  for (size_t y = 0; y < image.height(); ++y) {
    for (size_t i = 0; i < row.size(); ++i) row[i] = from[grey ? 3 * i : i];
    from += 3 * image.width();
    JSAMPROW line = row.data();
    jpeg_write_scanlines(&info, &line, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  const auto* begin = reinterpret_cast<const std::byte*>(bytes);
  std::vector<std::byte> result(begin, begin + size);
  std::free(bytes);
  return result;
}

}  // namespace mii
