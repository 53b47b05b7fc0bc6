#include "medical/jpeg_header.h"

#include <cstring>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "mii/error.h"

namespace mii {
namespace {

constexpr size_t kStart = 0xD8, kEnd = 0xD9, kScan = 0xDA, kHuffman = 0xC4, kQuantization = 0xDB,
                 kRestartInterval = 0xDD, kApplication0 = 0xE0, kComment = 0xFE, kJpegLs = 0xF7,
                 kJpegLsPreset = 0xF8;

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::invalid_image, "damaged JPEG: " + what);
}

bool is_frame_header(size_t marker) { return (marker >= 0xC0 && marker <= 0xC3) || marker == kJpegLs; }

bool is_table(size_t marker) {
  return marker == kHuffman || marker == kQuantization || marker == kRestartInterval ||
         marker == kJpegLsPreset || marker == kComment || (marker >= 0xE0 && marker <= 0xEF);
}

class Walk {
 public:
  explicit Walk(std::span<const std::byte> bytes) : bytes_(bytes) {}

  JpegHeader run() {
    if (bytes_.size() < 4 || byte(0) != 0xFF || byte(1) != kStart)
      fail("it does not begin with a start marker");
    at_ = 2;
    while (at_ < bytes_.size() && step()) {
    }
    if (header_.scans == 0) fail("it has no scan");
    return header_;
  }

 private:
  size_t byte(size_t at) const { return std::to_integer<size_t>(bytes_[at]); }
  size_t two_bytes(size_t at) const { return load_be<uint16_t>(&bytes_[at]); }

  // False at the end of the image.
  bool step() {
    const size_t marker = next_marker();
    if (marker == kEnd && header_.scans > 0) return false;
    const bool known = is_frame_header(marker) || is_table(marker) || marker == kScan;
    if (!known) fail("marker " + std::to_string(marker) + " is out of place");
    if (bytes_.size() - at_ < 2) fail("it ends within a segment");
    const size_t length = two_bytes(at_);
    if (length < 2 || length > bytes_.size() - at_)
      fail("a segment of " + std::to_string(length) + " bytes, " + std::to_string(bytes_.size() - at_) +
           " are there");
    if (is_frame_header(marker)) read_frame_header(marker, length);
    if (marker == kJpegLsPreset) expect_plain_preset(length);
    if (marker == kApplication0) header_.is_jfif |= starts_with("JFIF", length);
    if (marker == kScan && header_.marker == 0) fail("a scan before the frame header");
    at_ += length;
    if (marker != kScan) return true;
    ++header_.scans;
    skip_scan();
    return true;
  }

  // Any number of bytes FF may stand before a marker.
  size_t next_marker() {
    if (byte(at_) != 0xFF) fail("no marker at byte " + std::to_string(at_));
    while (at_ < bytes_.size() && byte(at_) == 0xFF) ++at_;
    if (at_ == bytes_.size()) fail("it ends within a marker");
    return byte(at_++);
  }

  void read_frame_header(size_t marker, size_t length) {
    if (header_.marker != 0) fail("a second frame header");
    if (length < 8 || length != 8 + 3 * byte(at_ + 7))
      fail("a frame header of " + std::to_string(length) + " bytes");
    header_.marker = marker;
    header_.precision = static_cast<int>(byte(at_ + 2));
    header_.image = {two_bytes(at_ + 3), two_bytes(at_ + 5), byte(at_ + 7)};
  }

  bool starts_with(std::string_view text, size_t length) const {
    return length >= 2 + text.size() && std::memcmp(bytes_.data() + at_ + 2, text.data(), text.size()) == 0;
  }

  // Others than the coding parameters map values or give the image another size.
  void expect_plain_preset(size_t length) const {
    if (length < 3 || byte(at_ + 2) != 1) fail("JPEG-LS parameters of an unknown kind");
  }

  // To the next marker that is no part of the scan. In JPEG FF 00 is a byte of data; in JPEG-LS FF and any
  // byte below 80.
  void skip_scan() {
    const size_t most = header_.marker == kJpegLs ? 0x7F : 0;
    for (; bytes_.size() - at_ >= 2; ++at_) {
      const size_t next = byte(at_ + 1);
      const bool is_restart = next >= 0xD0 && next <= 0xD7;
      if (byte(at_) == 0xFF && next > most && next != 0xFF && !is_restart) return;
    }
    at_ = bytes_.size();  // ends early: how much that matters the decoder knows
  }

  std::span<const std::byte> bytes_;
  size_t at_ = 0;
  JpegHeader header_;
};

}  // namespace

JpegHeader read_jpeg_header(std::span<const std::byte> bytes) { return Walk(bytes).run(); }

}  // namespace mii
