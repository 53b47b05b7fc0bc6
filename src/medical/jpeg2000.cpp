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

uint32_t read_be(Bytes bytes, size_t at, size_t size) {
  if (at > bytes.size() || bytes.size() - at < size) fail("damaged header");
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[at + i]);
  return value;
}

// What a JP2 file wraps, or the codestream itself. Source: ITU-T T.800 annex I.4.
Bytes codestream_of(Bytes bytes) {
  if (read_be(bytes, 0, 2) == 0xFF4F) return bytes;
  constexpr uint32_t kCodestream = 0x6A703263;  // "jp2c"
  for (size_t at = 0; bytes.size() - at >= 8;) {
    uint64_t length = read_be(bytes, at, 4);
    const size_t header = length == 1 ? 16 : 8;
    if (length == 1) length = uint64_t{read_be(bytes, at + 8, 4)} << 32 | read_be(bytes, at + 12, 4);
    if (length == 0 || length > bytes.size() - at) length = bytes.size() - at;
    if (length < header) break;
    if (read_be(bytes, at + 4, 4) == kCodestream) return bytes.subspan(at + header, length - header);
    at += length;
  }
  fail("damaged header");
}

// OpenJPEG takes memory for every code block and precinct before it reads any: some hundred bytes each.
// Encoders make blocks of 32 x 32 or 64 x 64 samples. style: where SPcod or SPcoc begins; annex A.6.
void expect_usual_blocks(Bytes bytes, size_t style, bool has_precincts) {
  constexpr uint32_t kLeast = 4;  // log2 of 16
  const uint32_t levels = read_be(bytes, style, 1);
  // Both are stored less 2.
  bool usual = read_be(bytes, style + 1, 1) + read_be(bytes, style + 2, 1) + 4 >= 2 * kLeast;
  for (uint32_t r = 0; has_precincts && r <= levels; ++r) {
    const uint32_t sides = read_be(bytes, style + 5 + r, 1);
    usual = usual && (sides & 15) >= kLeast && sides >> 4 >= kLeast;
  }
  if (!usual) fail("code blocks or precincts smaller than 16 x 16");
}

// Walks the main header and those of the tiles' parts.
void expect_usual_coding(Bytes bytes) {
  constexpr uint32_t kTilePart = 0xFF90, kData = 0xFF93, kEnd = 0xFFD9, kCoding = 0xFF52,
                     kComponentCoding = 0xFF53;
  size_t at = 2, next_part = bytes.size();
  while (bytes.size() - at >= 4) {
    const uint32_t marker = read_be(bytes, at, 2);
    if (marker == kEnd) return;
    if (marker == kData) {
      at = next_part;
      continue;
    }
    if (marker < 0xFF00) fail("damaged header");
    if (marker == kTilePart) {
      const size_t length = read_be(bytes, at + 6, 4);
      next_part = length < 14 || length > bytes.size() - at ? bytes.size() : at + length;
    }
    if (marker == kCoding) expect_usual_blocks(bytes, at + 9, read_be(bytes, at + 4, 1) & 1);
    // Fewer than 257 components: the index has one byte.
    if (marker == kComponentCoding) expect_usual_blocks(bytes, at + 6, read_be(bytes, at + 5, 1) & 1);
    at += 2 + read_be(bytes, at + 2, 2);
    if (at > bytes.size()) return;
  }
}

// There is no least number of bytes for a picture of one grey; but large ones are none.
void expect_bytes(Bytes bytes, const ExpectedPicture& expected) {
  constexpr size_t kFreeSamples = 1 << 24, kMostSamplesPerByte = 1000;
  const size_t samples = expected.rows * expected.cols * expected.samples;
  if (samples > kFreeSamples && samples / kMostSamplesPerByte > bytes.size())
    fail("ends early: " + std::to_string(bytes.size()) + " bytes for " + std::to_string(samples) +
         " samples");
}

}  // namespace

Jpeg2000Picture decode_jpeg2000(Bytes file, const ExpectedPicture& expected) {
  const Bytes bytes = codestream_of(file);
  const std::unique_ptr<opj_codec_t, CloseCodec> codec(opj_create_decompress(OPJ_CODEC_J2K));
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
  expect_bytes(bytes, expected);
  expect_usual_coding(bytes);
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
