#include "medical/jpeg2000.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

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

void expect_same(const ExpectedImage& found, const ExpectedImage& expected) {
  const auto size = [](const ExpectedImage& p) {
    return std::to_string(p.cols) + " x " + std::to_string(p.rows) + " pixels of " +
           std::to_string(p.samples);
  };
  if (found.rows != expected.rows || found.cols != expected.cols || found.samples != expected.samples)
    fail(size(found) + " components, expected " + size(expected));
}

void check_components(const opj_image_t& image) {
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

// Walks the main header and those of the tiles' parts, always forward, before OpenJPEG takes memory or time
// for what they announce. Source: ITU-T T.800 annex A.
class HeaderWalk {
 public:
  HeaderWalk(Bytes bytes, const ExpectedImage& expected) : bytes_(bytes), expected_(expected) {}

  void run() {
    if (word(2, 2) != kSize) fail("damaged header");
    while (bytes_.size() - at_ >= 4 && !at_end()) word(at_, 2) == kData ? skip_data() : segment();
    expect_little_work();
  }

 private:
  static constexpr uint32_t kTilePart = 0xFF90, kData = 0xFF93, kEnd = 0xFFD9, kSize = 0xFF51,
                            kCoding = 0xFF52, kComponentCoding = 0xFF53;
  static constexpr uint32_t kMostLevels = 32;

  uint32_t word(size_t at, size_t size) const { return read_be(bytes_, at, size); }

  bool at_end() const { return word(at_, 2) == kEnd && at_ == part_end_; }

  // In a marker that it does not know OpenJPEG looks for ones that it knows; no image has such a marker.
  static bool is_known(uint32_t marker) {
    static constexpr std::string_view kKnown =
        "\x50\x51\x52\x53\x55\x57\x58\x59\x5C\x5D\x5E\x5F\x60\x61\x63\x64\x74\x75\x77\x78\x90";
    return marker >> 8 == 0xFF && kKnown.find(static_cast<char>(marker & 0xFF)) != kKnown.npos;
  }

  void skip_data() {
    if (!in_part_ || part_end_ - at_ < 2) fail("data without a tile");
    in_part_ = false;
    at_ = part_end_;
  }

  void segment() {
    constexpr size_t kMostSegments = 50'000;  // OpenJPEG keeps a list
    const uint32_t marker = word(at_, 2);
    const size_t length = word(at_ + 2, 2), rest = (in_part_ ? part_end_ : bytes_.size()) - at_;
    if (!is_known(marker) || length < 2 || rest < 2 + length) fail("damaged header");
    if (++segments_ > kMostSegments) fail("more than " + std::to_string(kMostSegments) + " header segments");
    if (marker == kTilePart) start_part();
    if (marker == kSize) expect_size();
    if (marker == kCoding) {
      most_layers_ = std::max<size_t>(most_layers_, word(at_ + 6, 2));
      expect_usual_blocks(at_ + 9, word(at_ + 4, 1) & 1);
    }
    // Fewer than 257 components: the index has one byte.
    if (marker == kComponentCoding) expect_usual_blocks(at_ + 6, word(at_ + 5, 1) & 1);
    at_ += 2 + length;
  }

  void start_part() {
    constexpr size_t kLeastPart = 14;  // its own marker and that of its data
    if (in_part_) fail("a tile within a tile");
    const size_t rest = bytes_.size() - at_, length = word(at_ + 6, 4) == 0 ? rest : word(at_ + 6, 4);
    if (word(at_ + 2, 2) != 10 || std::min(length, rest) < kLeastPart) fail("damaged tile");
    in_part_ = true;
    part_end_ = at_ + std::min(length, rest);
  }

  // OpenJPEG takes some 10 kB for a tile as soon as it has read the header. Encoders write tiles of 256 x
  // 256.
  void expect_size() {
    constexpr uint64_t kMostTiles = 8192;
    if (at_ != 2) fail("a second size");
    const auto extent = [&](size_t axis) {
      const uint64_t end = word(at_ + 6 + axis, 4), begin = word(at_ + 14 + axis, 4);
      const uint64_t tile = word(at_ + 22 + axis, 4), first_tile = word(at_ + 30 + axis, 4);
      if (begin >= end || tile == 0 || first_tile > begin) fail("damaged header");
      tiles_ *= (end - first_tile + tile - 1) / tile;
      tile_[axis / 4] = std::min(tile, end - begin);
      return end - begin;
    };
    const uint64_t cols = extent(0), rows = extent(4);
    expect_same({rows, cols, word(at_ + 38, 2)}, expected_);
    if (tiles_ > kMostTiles) fail(std::to_string(tiles_) + " tiles, at most " + std::to_string(kMostTiles));
  }

  // OpenJPEG takes memory for every code block and precinct before it reads any: some hundred bytes each.
  // Encoders make blocks of 32 x 32 or 64 x 64 samples. style: where SPcod or SPcoc begins; annex A.6.
  void expect_usual_blocks(size_t style, bool has_precincts) {
    constexpr uint32_t kLeast = 4, kWhole = 15;  // log2 of 16; of more than images have
    const uint32_t levels = word(style, 1);
    if (levels > kMostLevels) fail(std::to_string(levels) + " levels");
    // Both are stored minus 2.
    bool usual = word(style + 1, 1) + word(style + 2, 1) + 4 >= 2 * kLeast;
    size_t precincts = 0;
    std::array<uint32_t, 2> steps{31, 31};  // log2 of the shortest way between precincts
    for (uint32_t r = 0; r <= levels; ++r) {
      const uint32_t sides = has_precincts ? word(style + 5 + r, 1) : kWhole << 4 | kWhole;
      const std::array<uint32_t, 2> side{sides & 15, sides >> 4};
      usual = usual && side[0] >= kLeast && side[1] >= kLeast;
      precincts += steps_of(0, levels - r + side[0]) * steps_of(1, levels - r + side[1]);
      for (size_t axis = 0; axis < 2; ++axis) steps[axis] = std::min(steps[axis], levels - r + side[axis]);
    }
    if (!usual) fail("code blocks or precincts smaller than 16 x 16");
    most_precincts_ = std::max(most_precincts_, precincts);
    most_places_ = std::max(most_places_, (levels + 1) * steps_of(0, steps[0]) * steps_of(1, steps[1]));
  }

  // How often 2^log2 goes into the side of a tile.
  size_t steps_of(size_t axis, uint32_t log2) const {
    return static_cast<size_t>((tile_[axis] >> log2) + ((tile_[axis] & ((uint64_t{1} << log2) - 1)) != 0));
  }

  // A packet, one of each layer and precinct, has a byte at the least; OpenJPEG goes through all of them also
  // when they are not there, and in some orders through all places where one could begin.
  void expect_little_work() const {
    constexpr size_t kFreeSteps = 1 << 18;
    const size_t steps = std::max(most_layers_ * most_precincts_, most_places_) * tiles_ * expected_.samples;
    if (steps > std::max(kFreeSteps, bytes_.size()))
      fail(std::to_string(steps) + " packets in " + std::to_string(bytes_.size()) + " bytes");
  }

  Bytes bytes_;
  const ExpectedImage& expected_;
  size_t at_ = 2, part_end_ = 0, segments_ = 0;
  bool in_part_ = false;  // within the header of a tile's part
  uint64_t tiles_ = 1;
  std::array<uint64_t, 2> tile_{};  // columns and rows of one
  size_t most_layers_ = 1, most_precincts_ = 1, most_places_ = 1;
};

// An image of a single grey has no minimum size in bytes, so small images pass; large ones with too few bytes
// are refused.
void expect_bytes(Bytes bytes, const ExpectedImage& expected) {
  constexpr size_t kFreeSamples = 1 << 24, kMostSamplesPerByte = 1000;
  const size_t samples = expected.rows * expected.cols * expected.samples;
  if (samples > kFreeSamples && samples / kMostSamplesPerByte > bytes.size())
    fail("ends early: " + std::to_string(bytes.size()) + " bytes for " + std::to_string(samples) +
         " samples");
}

}  // namespace

Jpeg2000Image decode_jpeg2000(Bytes file, const ExpectedImage& expected) {
  const Bytes bytes = codestream_of(file);
  HeaderWalk(bytes, expected).run();
  expect_bytes(bytes, expected);
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
  check_components(*image);
  if (opj_decode(codec.get(), stream.get(), image.get()) != OPJ_TRUE) fail("damaged or ends early");

  const size_t pixels = expected.rows * expected.cols;
  Jpeg2000Image decoded{std::vector<int32_t>(pixels * expected.samples),
                        static_cast<int>(image->comps[0].prec), image->comps[0].sgnd != 0};
  for (size_t c = 0; c < expected.samples; ++c) {
    const opj_image_comp_t& component = image->comps[c];
    if (component.data == nullptr || component.w != expected.cols || component.h != expected.rows)
      fail("a component is missing");
    for (size_t i = 0; i < pixels; ++i) decoded.values[i * expected.samples + c] = component.data[i];
  }
  return decoded;
}

}  // namespace mii
