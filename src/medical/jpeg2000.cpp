#include "medical/jpeg2000.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include <openjpeg.h>

#include "mii/error.h"

namespace mii {
namespace {

using Bytes = std::span<const std::byte>;

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::invalid_image, "JPEG 2000: " + what);
}

struct Source {
  Bytes bytes;
  size_t at = 0;
};

OPJ_SIZE_T read(void* buffer, OPJ_SIZE_T count, void* user) {
  auto& source = *static_cast<Source*>(user);
  const size_t n = std::min<size_t>(count, source.bytes.size() - source.at);
  if (n == 0) return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(buffer, source.bytes.data() + source.at, n);
  source.at += n;
  return n;
}

OPJ_BOOL seek(OPJ_OFF_T to, void* user) {
  auto& source = *static_cast<Source*>(user);
  if (to < 0 || static_cast<size_t>(to) > source.bytes.size()) return OPJ_FALSE;
  source.at = static_cast<size_t>(to);
  return OPJ_TRUE;
}

OPJ_OFF_T skip(OPJ_OFF_T count, void* user) {
  auto& source = *static_cast<Source*>(user);
  return seek(static_cast<OPJ_OFF_T>(source.at) + count, user) == OPJ_TRUE ? count : -1;
}

void ignore(const char*, void*) {}

// OpenJPEG's streams and codecs are the same type to C++.
struct CloseStream {
  void operator()(opj_stream_t* stream) const { opj_stream_destroy(stream); }
};
struct CloseCodec {
  void operator()(opj_codec_t* codec) const { opj_destroy_codec(codec); }
};
struct CloseImage {
  void operator()(opj_image_t* image) const { opj_image_destroy(image); }
};

void check_size(const opj_image_t& image, const ExpectedPicture& expected) {
  const auto size = [](size_t cols, size_t rows, size_t samples) {
    return std::to_string(cols) + " x " + std::to_string(rows) + " pixels of " + std::to_string(samples);
  };
  const size_t cols = image.x1 - image.x0, rows = image.y1 - image.y0;
  if (image.x1 <= image.x0 || image.y1 <= image.y0 || cols != expected.cols || rows != expected.rows ||
      image.numcomps != expected.samples)
    fail(size(cols, rows, image.numcomps) + " components, expected " +
         size(expected.cols, expected.rows, expected.samples));
  for (OPJ_UINT32 c = 0; c < image.numcomps; ++c) {
    const opj_image_comp_t& component = image.comps[c];
    if (component.dx != 1 || component.dy != 1) fail("subsampled components");
    if (component.prec != image.comps[0].prec || component.sgnd != image.comps[0].sgnd ||
        component.prec == 0 || component.prec > 31)
      fail("components of " + std::to_string(component.prec) + " bits");
  }
}

}  // namespace

Jpeg2000Picture decode_jpeg2000(Bytes bytes, const ExpectedPicture& expected) {
  if (bytes.size() < 12) fail("ends early");
  const bool codestream = bytes[0] == std::byte{0xFF} && bytes[1] == std::byte{0x4F};
  const std::unique_ptr<opj_codec_t, CloseCodec> codec(
      opj_create_decompress(codestream ? OPJ_CODEC_J2K : OPJ_CODEC_JP2));
  const std::unique_ptr<opj_stream_t, CloseStream> stream(opj_stream_default_create(OPJ_TRUE));
  if (!codec || !stream) throw std::bad_alloc();
  opj_set_info_handler(codec.get(), ignore, nullptr);
  opj_set_warning_handler(codec.get(), ignore, nullptr);
  opj_set_error_handler(codec.get(), ignore, nullptr);
  Source source{bytes};
  opj_stream_set_user_data(stream.get(), &source, nullptr);
  opj_stream_set_user_data_length(stream.get(), bytes.size());
  opj_stream_set_read_function(stream.get(), read);
  opj_stream_set_seek_function(stream.get(), seek);
  opj_stream_set_skip_function(stream.get(), skip);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  if (opj_setup_decoder(codec.get(), &parameters) != OPJ_TRUE) fail("cannot be decoded");

  opj_image_t* header = nullptr;
  const bool has_header = opj_read_header(stream.get(), codec.get(), &header) == OPJ_TRUE;
  const std::unique_ptr<opj_image_t, CloseImage> image(header);
  if (!has_header || !image) fail("damaged header");
  check_size(*image, expected);
  if (opj_decode(codec.get(), stream.get(), image.get()) != OPJ_TRUE) fail("damaged or ends early");

  const size_t pixels = expected.rows * expected.cols;
  Jpeg2000Picture picture{std::vector<int32_t>(pixels * expected.samples),
                          static_cast<int>(image->comps[0].prec), image->comps[0].sgnd != 0};
  for (size_t c = 0; c < expected.samples; ++c) {
    const opj_image_comp_t& component = image->comps[c];
    if (component.data == nullptr || component.w != expected.cols || component.h != expected.rows)
      fail("a component is missing");
    for (size_t i = 0; i < pixels; ++i) picture.values[i * expected.samples + c] = component.data[i];
  }
  return picture;
}

}  // namespace mii
