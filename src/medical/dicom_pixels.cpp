#include "medical/dicom_pixels.h"

#include <algorithm>
#include <cstring>

#include "core/bytes.h"
#include "medical/dicom_codecs.h"
#include "mii/error.h"

namespace mii::medical {
namespace {

using Bytes = std::span<const std::byte>;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::invalid_image, "DICOM: " + what); }

const uint8_t* as_u8(Bytes bytes) { return reinterpret_cast<const uint8_t*>(bytes.data()); }

std::string frame_name(size_t frame, const PixelLayout& layout) {
  return layout.frames == 1 ? std::string("the pixel data")
                            : "frame " + std::to_string(frame + 1) + " of " + std::to_string(layout.frames);
}

bool is_422(const PixelLayout& layout) {
  return layout.samples == 3 && (layout.photometric_interpretation == "YBR_FULL_422" ||
                                 layout.photometric_interpretation == "YBR_PARTIAL_422");
}

// ---- native pixel data

size_t native_bits(const PixelLayout& layout) {
  const size_t samples = is_422(layout) ? 2 : layout.samples;
  return layout.pixels() * samples * static_cast<size_t>(layout.bits_allocated);
}

void swap_bytes(std::span<uint8_t> bytes, size_t size) {
  for (size_t i = 0; i + size <= bytes.size(); i += size)
    std::reverse(bytes.data() + i, bytes.data() + i + size);
}

std::unique_ptr<uint8_t[]> unpacked_bits(const uint8_t* from, size_t first_bit, size_t count) {
  auto values = std::make_unique_for_overwrite<uint8_t[]>(count);
  for (size_t i = 0; i < count; ++i) values[i] = from[(first_bit + i) / 8] >> ((first_bit + i) % 8) & 1;
  return values;
}

// Two pixels share their colour: Y1 Y2 CB CR; PS3.3 C.7.6.3.1.2.
std::unique_ptr<uint8_t[]> without_subsampling(const uint8_t* from, size_t pixels) {
  auto values = std::make_unique_for_overwrite<uint8_t[]>(pixels * 3);
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t* pair = from + i / 2 * 4;
    values[3 * i] = pair[i % 2];
    values[3 * i + 1] = pair[2];
    values[3 * i + 2] = pair[3];
  }
  return values;
}

RawFrame read_native(const DicomStructure& structure, const PixelLayout& layout, size_t frame) {
  RawFrame raw;
  raw.bytes_per_sample = std::max(1, layout.bits_allocated / 8);
  const size_t bits = native_bits(layout), first_bit = bits * frame;
  const Bytes value = structure.pixels.value;
  const bool missing = frame > value.size() * 8 / bits || first_bit + bits > value.size() * 8;
  if (missing)
    fail(frame_name(frame, layout) + " ends early: " + std::to_string(value.size()) +
         " bytes of pixel data, expected " + std::to_string((bits * (frame + 1) + 7) / 8));
  const Bytes source = value.subspan(first_bit / 8, (first_bit % 8 + bits + 7) / 8);
  const bool swapped_words = structure.big_endian && structure.pixels.words && layout.bits_allocated <= 8;
  if (structure.big_endian && (layout.bits_allocated > 8 || swapped_words)) {
    // From the start of the value, so that pairs of bytes stay pairs.
    const size_t begin = first_bit / 8 & ~size_t{1};
    const size_t end = std::min(value.size(), (first_bit + bits + 15) / 16 * 2);
    raw.owned = std::make_unique_for_overwrite<uint8_t[]>(end - begin);
    std::memcpy(raw.owned.get(), value.data() + begin, end - begin);
    swap_bytes({raw.owned.get(), end - begin},
               layout.bits_allocated <= 8 ? 2 : static_cast<size_t>(raw.bytes_per_sample));
    raw.bytes = {raw.owned.get() + (first_bit / 8 - begin), source.size()};
  } else {
    raw.bytes = {as_u8(source), source.size()};
  }
  if (layout.bits_allocated == 1) {
    raw.owned = unpacked_bits(raw.bytes.data(), first_bit % 8, layout.pixels() * layout.samples);
    raw.bytes = {raw.owned.get(), layout.pixels() * layout.samples};
  } else if (is_422(layout)) {
    if (layout.bits_allocated != 8)
      fail("YBR_FULL_422 of " + std::to_string(layout.bits_allocated) + " bits");
    if (layout.pixels() % 2 != 0) fail("YBR_FULL_422 with an odd number of pixels");
    raw.owned = without_subsampling(raw.bytes.data(), layout.pixels());
    raw.bytes = {raw.owned.get(), layout.pixels() * 3};
  }
  raw.planar = layout.planar && !is_422(layout);
  return raw;
}

// ---- encapsulated pixel data

bool starts_codestream(Bytes bytes) {
  if (bytes.size() < 4 || bytes[0] != std::byte{0xFF}) return false;
  return bytes[1] == std::byte{0xD8} || (bytes[1] == std::byte{0x4F} && bytes[2] == std::byte{0xFF});
}

using Fragments = std::vector<Bytes>;

Fragments by_offset_table(const DicomStructure& structure, size_t frame, size_t frames) {
  const auto offset = [&](size_t i) {
    return size_t{load_le<uint32_t>(structure.pixels.offset_table.data() + 4 * i)};
  };
  const size_t begin = offset(frame);
  const size_t end = frame + 1 < frames ? offset(frame + 1) : SIZE_MAX;
  Fragments found;
  size_t at = 0;
  for (const Bytes fragment : structure.pixels.fragments) {
    if (at >= begin && at < end) found.push_back(fragment);
    at += 8 + fragment.size();
  }
  return found;
}

// A frame begins with each fragment that begins a codestream.
Fragments by_codestreams(const DicomStructure& structure, size_t frame) {
  Fragments found;
  size_t started = 0;
  for (const Bytes fragment : structure.pixels.fragments) {
    if (starts_codestream(fragment)) ++started;
    if (started == frame + 1) found.push_back(fragment);
  }
  return found;
}

Fragments fragments_of(const DicomStructure& structure, const PixelLayout& layout, size_t frame) {
  const auto& all = structure.pixels.fragments;
  if (layout.frames == 1) return all;
  if (all.size() == layout.frames) return {all[frame]};
  if (structure.pixels.offset_table.size() >= 4 * layout.frames)
    return by_offset_table(structure, frame, layout.frames);
  return by_codestreams(structure, frame);
}

std::vector<std::byte> joined(const Fragments& fragments) {
  std::vector<std::byte> bytes;
  for (const Bytes fragment : fragments) bytes.insert(bytes.end(), fragment.begin(), fragment.end());
  return bytes;
}

RawFrame read_encapsulated(const DicomStructure& structure, const PixelLayout& layout, size_t frame) {
  const Fragments fragments = fragments_of(structure, layout, frame);
  if (fragments.empty()) fail(frame_name(frame, layout) + " is missing");
  if (structure.pixels.cut_off && fragments.back().data() == structure.pixels.fragments.back().data())
    fail(frame_name(frame, layout) + " ends early");
  try {
    return decode_encapsulated(structure.transfer_syntax, joined(fragments), layout);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::invalid_image) throw;
    fail(frame_name(frame, layout) + ": " + error.what());
  }
}

// As SampleReader does it, in 32 bits.
template <typename Stored>
void read_as(const RawFrame& frame, std::span<int32_t> values) {
  const int up = 31 - frame.high_bit, down = 32 - frame.bits_stored;
  const uint8_t* from = frame.bytes.data();
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * sizeof(Stored), sizeof(Stored));
    const uint32_t shifted = static_cast<uint32_t>(stored) << up;
    values[i] =
        frame.is_signed ? static_cast<int32_t>(shifted) >> down : static_cast<int32_t>(shifted >> down);
  }
}

// ---- colour

uint8_t clamped(double value) { return static_cast<uint8_t>(std::clamp(value + 0.5, 0.0, 255.0)); }

// PS3.3 C.7.6.3.1.2, solved for red, green and blue.
void full_range_ybr_to_rgb(std::span<uint8_t> pixel) {
  const double y = pixel[0], cb = pixel[1] - 128.0, cr = pixel[2] - 128.0;
  pixel[0] = clamped(y + 1.402 * cr);
  pixel[1] = clamped(y - 0.344136286201022 * cb - 0.714136286201022 * cr);
  pixel[2] = clamped(y + 1.772 * cb);
}

void partial_range_ybr_to_rgb(std::span<uint8_t> pixel) {
  const double y = 255 / 219.0 * (pixel[0] - 16.0);
  const double cb = 255 / 224.0 * (pixel[1] - 128.0), cr = 255 / 224.0 * (pixel[2] - 128.0);
  pixel[0] = clamped(y + 1.402 * cr);
  pixel[1] = clamped(y - 0.344136286201022 * cb - 0.714136286201022 * cr);
  pixel[2] = clamped(y + 1.772 * cb);
}

}  // namespace

RawFrame read_frame(const DicomStructure& structure, const PixelLayout& layout, size_t frame) {
  if (structure.pixels.encapsulated) return read_encapsulated(structure, layout, frame);
  RawFrame raw = read_native(structure, layout, frame);
  raw.bits_stored = layout.bits_stored;
  raw.high_bit = layout.high_bit;
  raw.is_signed = layout.is_signed;
  raw.photometric_interpretation = layout.photometric_interpretation;
  return raw;
}

SampleReader::SampleReader(const RawFrame& frame)
    : bytes_(frame.bytes.data()),
      bytes_per_sample_(frame.bytes_per_sample),
      shift_up_(63 - frame.high_bit),
      shift_down_(64 - frame.bits_stored),
      is_signed_(frame.is_signed) {}

int64_t SampleReader::operator()(size_t i) const {
  uint64_t value = 0;
  std::memcpy(&value, bytes_ + i * static_cast<size_t>(bytes_per_sample_),
              static_cast<size_t>(bytes_per_sample_));
  value <<= shift_up_;
  return is_signed_ ? static_cast<int64_t>(value) >> shift_down_ : static_cast<int64_t>(value >> shift_down_);
}

void read_integers(const RawFrame& frame, std::span<int32_t> values) {
  switch (frame.bytes_per_sample) {
    case 1:
      return read_as<uint8_t>(frame, values);
    case 2:
      return read_as<uint16_t>(frame, values);
    case 4:
      return read_as<uint32_t>(frame, values);
    default:
      const SampleReader sample(frame);
      for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(sample(i));
  }
}

ColourFrame to_colour(const RawFrame& frame, const PixelLayout& layout) {
  const SampleReader sample(frame);
  const size_t pixels = layout.pixels(), samples = layout.samples;
  const int shift = std::max(0, frame.bits_stored - 8);
  ColourFrame colour{layout.rows, layout.cols, std::vector<uint8_t>(pixels * 3)};
  const bool ready = frame.bytes_per_sample == 1 && frame.bits_stored == 8 && samples == 3 && !frame.planar;
  if (ready) std::memcpy(colour.rgb.data(), frame.bytes.data(), colour.rgb.size());
  for (size_t i = 0; !ready && i < pixels; ++i)
    for (size_t c = 0; c < 3; ++c)
      colour.rgb[3 * i + c] =
          static_cast<uint8_t>(sample(frame.planar ? c * pixels + i : i * samples + c) >> shift);
  const std::string& photometric = frame.photometric_interpretation;
  const bool partial = photometric.starts_with("YBR_PARTIAL");
  if (!partial && photometric != "YBR_FULL" && photometric != "YBR_FULL_422") return colour;
  for (size_t i = 0; i < pixels; ++i) {
    const std::span<uint8_t> pixel(colour.rgb.data() + 3 * i, 3);
    partial ? partial_range_ybr_to_rgb(pixel) : full_range_ybr_to_rgb(pixel);
  }
  return colour;
}

}  // namespace mii::medical
