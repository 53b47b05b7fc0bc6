// Decodes a compressed frame: the first byte names the codec and the geometry, the rest is the frame of a
// DICOM file that is made around it. A mutator of its own knows markers, segments and their lengths.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "mii/error.h"

#include "medical/dicom_file.h"
#include "medical/dicom_writer.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// A quarantine of freed memory would count against -rss_limit_mb.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=8"; }

namespace {

constexpr std::array kSyntaxes{mii::kJpegBaseline, mii::kJpegExtended, mii::kJpegLossless, mii::kJpegLs,
                               mii::kJpeg2000,     mii::kRle,          mii::kJpegLs,       mii::kJpeg2000};
constexpr std::array<std::array<uint16_t, 2>, 8> kSizes{
    {{1, 1}, {8, 8}, {16, 16}, {17, 33}, {64, 64}, {512, 512}, {2000, 2000}, {65500, 1500}}};

bool is_rle(uint8_t kind) { return kSyntaxes[kind & 7] == std::string(mii::kRle); }

// Bits of `kind`: three for the codec, three for the size, one each for three samples and for 16 bits.
mii::Data file_of(uint8_t kind, const std::string& frame) {
  const auto [rows, cols] = kSizes[kind >> 3 & 7];
  const bool colour = kind >> 6 & 1, wide = kind >> 7;
  const mii::DicomPixels pixels{.rows = rows,
                                .cols = cols,
                                .samples = static_cast<uint16_t>(colour ? 3 : 1),
                                .allocated = static_cast<uint16_t>(wide ? 16 : 8),
                                .stored = static_cast<uint16_t>(wide ? 16 : 8),
                                .photometric = colour ? "RGB" : "MONOCHROME2"};
  return mii::part10(kSyntaxes[kind & 7], mii::dicom_image(pixels).encapsulated({frame}).bytes());
}

// ---- the mutator

using Pieces = std::vector<std::string>;  // of a codestream: a marker and its segment, or data

bool is_alone(uint8_t marker) {
  return marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD9) || marker == 0x4F || marker == 0x93;
}

// Where data end: at a marker other than the restarts of JPEG and the stuffed bytes of all codecs.
size_t end_of_data(const std::string& frame, size_t at) {
  for (; at + 1 < frame.size(); ++at) {
    const auto next = static_cast<uint8_t>(frame[at + 1]);
    if (frame[at] == '\xFF' && next >= 0x80 && next != 0xFF && !(next >= 0xD0 && next <= 0xD7)) return at;
  }
  return frame.size();
}

Pieces pieces_of(const std::string& frame) {
  Pieces pieces;
  for (size_t at = 0; at < frame.size();) {
    size_t end = frame.size();
    if (frame[at] != '\xFF' || frame.size() - at < 4) {
      end = end_of_data(frame, at + 1);
    } else if (is_alone(static_cast<uint8_t>(frame[at + 1]))) {
      end = at + 2;
    } else {
      const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(frame[at + i])); };
      end = std::min(frame.size(), at + 2 + (byte(2) << 8 | byte(3)));
    }
    pieces.push_back(frame.substr(at, end - at));
    at = end;
  }
  return pieces;
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string mutated(const std::string& frame, bool rle, size_t max_size) {
    if (rle) return below(2) == 0 ? with_rle_offset(frame) : with_bytes(frame, max_size);
    Pieces pieces = pieces_of(frame);
    if (pieces.empty()) return with_bytes(frame, max_size);
    for (size_t n = 1 + below(3); n > 0 && !pieces.empty(); --n) change(pieces, max_size);
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    return all;
  }

 private:
  size_t below(size_t n) { return random_() % n; }

  // One that decoders know, mostly.
  char marker() {
    static constexpr std::string_view kKnown =
        "\xC0\xC1\xC2\xC3\xC4\xC9\xCC\xD0\xD7\xD8\xD9\xDA\xDB\xDC\xDD\xDE\xE0\xEE\xF7\xF8\xFE\x01\x4F\x51\x52"
        "\x53"
        "\x55\x57\x58\x5C\x5D\x5E\x5F\x60\x61\x63\x64\x90\x91\x92\x93";
    return below(8) == 0 ? static_cast<char>(below(256)) : kKnown[below(kKnown.size())];
  }

  std::string extreme(size_t bytes) {
    static constexpr std::array<uint32_t, 12> kValues{0,  1,   2,   3,     8,     16,
                                                      64, 255, 256, 65500, 65535, 0x7FFFFFFF};
    const uint32_t value = below(6) == 0 ? 0xFFFFFFFF : kValues[below(kValues.size())];
    return mii::number(value, true).substr(4 - bytes);
  }

  void overwrite(std::string& piece, size_t at, const std::string& bytes) {
    if (at + bytes.size() <= piece.size()) piece.replace(at, bytes.size(), bytes);
  }

  void change(Pieces& pieces, size_t max_size) {
    const size_t i = below(pieces.size());
    std::string& piece = pieces[i];
    const auto place = [&](size_t n) { return pieces.begin() + static_cast<std::ptrdiff_t>(n); };
    switch (below(11)) {
      case 0:
        pieces.erase(place(i));
        return;
      case 1:
        std::swap(piece, pieces[below(pieces.size())]);
        return;
      case 2: {
        const std::string copy = piece;
        pieces.insert(place(below(pieces.size() + 1)), copy);
        return;
      }
      case 3: {  // many of the same
        size_t size = 0;
        for (const std::string& p : pieces) size += p.size();
        const std::string copy = piece;
        const size_t room = (max_size - std::min(max_size, size)) / std::max<size_t>(1, copy.size());
        pieces.insert(place(i), std::min(room, size_t{1} << below(12)), copy);
        return;
      }
      case 4: {
        const std::string payload(below(20), static_cast<char>(below(256)));
        const auto length = static_cast<uint16_t>(payload.size() + 2);
        pieces.insert(place(i), std::string("\xFF") + marker() + mii::number(length, true) + payload);
        return;
      }
      case 5:
        pieces.insert(place(i), std::string("\xFF") + marker());
        return;
      case 6:
        piece.insert(0, 1 + below(3), '\xFF');
        return;
      case 7:
        overwrite(piece, 1, std::string(1, marker()));
        return;
      case 8:
        overwrite(piece, 2, extreme(2));
        return;
      case 9:  // sizes, counts and offsets within a segment
        overwrite(piece, 4 + below(std::max<size_t>(piece.size(), 5) - 4), extreme(size_t{1} << below(3)));
        return;
      default:
        piece = with_bytes(piece, max_size);
    }
  }

  std::string with_rle_offset(std::string frame) {
    overwrite(frame, 4 * below(16), mii::number(static_cast<uint32_t>(below(2 * frame.size() + 1))));
    return frame;
  }

  static std::string with_bytes(std::string frame, size_t max_size) {
    const size_t size = frame.size();
    frame.resize(std::min(max_size, 2 * size + 16));
    frame.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(frame.data()), std::min(size, frame.size()),
                                  frame.size()));
    return frame;
  }

  std::minstd_rand random_;
};

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  if (size < 2 || max_size < 2 || seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string frame(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string changed = Mutator(seed).mutated(frame, is_rle(data[0]), max_size - 1);
  const size_t kept = std::min(changed.size(), max_size - 1);
  std::memcpy(data + 1, changed.data(), kept);
  return 1 + kept;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const mii::Data bytes = file_of(data[0], std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  try {
    mii::DicomFile::open(bytes).frame(0);
  } catch (const mii::Error& error) {
    if (error.code() == mii::ErrorCode::internal) std::abort();
  }
  return 0;
}
