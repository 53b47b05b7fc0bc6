#include "train/picture.h"

#include <csetjmp>
#include <cstdio>
#include <string>

#include <jpeglib.h>

#include "mii/error.h"

namespace mii {
namespace {

// Far above any model's input, far below what a hostile header can ask for.
constexpr size_t kMaxPixels = size_t{1} << 24;

struct JpegError {
  jpeg_error_mgr manager;
  std::jmp_buf leave;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave_decoder(j_common_ptr info) {
  auto* error = reinterpret_cast<JpegError*>(info->err);
  info->err->format_message(info, error->message);
  std::longjmp(error->leave, 1);
}

// False with error.message set. What it fills belongs to the caller: an object of this frame that changes
// after setjmp would have no certain value after the jump.
bool read(std::span<const std::byte> jpeg, Picture& picture, JpegError& error) {
  jpeg_decompress_struct info{};
  info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = leave_decoder;
  error.manager.output_message = [](j_common_ptr) {};
  if (setjmp(error.leave) != 0) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&info, TRUE);
  if (size_t{info.image_width} * info.image_height > kMaxPixels) {
    std::snprintf(error.message, sizeof error.message, "%u x %u, expected at most %zu pixels",
                  info.image_width, info.image_height, kMaxPixels);
    jpeg_destroy_decompress(&info);
    return false;
  }
  if (info.num_components != 1) info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  picture.width = static_cast<int>(info.output_width);
  picture.height = static_cast<int>(info.output_height);
  picture.channels = info.output_components;
  const size_t stride = static_cast<size_t>(picture.width) * static_cast<size_t>(picture.channels);
  picture.values.resize(stride * static_cast<size_t>(picture.height));
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = picture.values.data() + info.output_scanline * stride;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  // For data that end early or are damaged, libjpeg only warns and makes up the rest.
  if (error.manager.num_warnings > 0)
    info.err->format_message(reinterpret_cast<j_common_ptr>(&info), error.message);
  jpeg_destroy_decompress(&info);
  return error.manager.num_warnings == 0;
}

}  // namespace

Picture decode_jpeg(std::span<const std::byte> jpeg) {
  Picture picture;
  JpegError error{};
  if (!read(jpeg, picture, error))
    throw Error(ErrorCode::invalid_image, std::string("no readable JPEG: ") + error.message);
  return picture;
}

}  // namespace mii
