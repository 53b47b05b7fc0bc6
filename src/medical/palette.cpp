#include "medical/palette.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "mii/error.h"

namespace mii::medical {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::invalid_image, "DICOM: the colour palette " + what);
}

struct Descriptor {
  size_t entries = 0;
  int32_t first = 0;
  int bits = 0;
};

std::optional<Descriptor> read_descriptor(DcmItem& item, const DcmTagKey& tag, bool signed_input) {
  const auto numbers = dicom_numbers(item, tag);
  if (numbers.size() < 3) return std::nullopt;
  // Three numbers of 16 bits; another VR than US and SS may say more.
  if (std::ranges::any_of(numbers, [](double n) { return std::abs(n) > 65535; })) return std::nullopt;
  Descriptor descriptor;
  // 0 entries stand for 65536, which 16 bits cannot hold; written as SS, 32768 and more are negative.
  const int32_t entries = whole_number(numbers[0]) & 0xFFFF;
  descriptor.entries = entries == 0 ? 65536 : static_cast<size_t>(entries);
  descriptor.first = whole_number(numbers[1]);
  if (signed_input && descriptor.first > 32767) descriptor.first -= 65536;
  if (!signed_input && descriptor.first < 0) descriptor.first += 65536;
  descriptor.bits = whole_number(numbers[2]);
  return descriptor;
}

// 16-bit words, from OW, US or SS.
std::vector<uint16_t> read_words(DcmItem& item, const DcmTagKey& tag) {
  const Uint16* words = nullptr;
  unsigned long count = 0;
  if (item.findAndGetUint16Array(tag, words, &count).good() && words != nullptr)
    return {words, words + count};
  const Sint16* signed_words = nullptr;
  std::vector<uint16_t> copy;
  if (item.findAndGetSint16Array(tag, signed_words, &count).good() && signed_words != nullptr)
    for (unsigned long i = 0; i < count; ++i) copy.push_back(static_cast<uint16_t>(signed_words[i]));
  return copy;
}

// Entries of 8 bits may lie two in a word, the first in the low byte.
std::vector<uint16_t> unpacked(const std::vector<uint16_t>& words, size_t entries) {
  if (words.size() >= entries || words.size() * 2 < entries) return words;
  std::vector<uint16_t> bytes;
  for (const uint16_t word : words) {
    bytes.push_back(word & 0xFF);
    bytes.push_back(word >> 8);
  }
  return bytes;
}

// Segmented data to plain entries; PS3.3 C.7.9.2.
class SegmentReader {
 public:
  SegmentReader(const std::vector<uint16_t>& words, size_t entries) : words_(words), entries_(entries) {}

  std::vector<uint16_t> read() {
    for (size_t at = 0; at < words_.size() && out_.size() < entries_;) at = segment(at, true);
    return std::move(out_);
  }

 private:
  uint16_t word(size_t at) const {
    if (at >= words_.size()) fail("ends within a segment");
    return words_[at];
  }

  void push(uint16_t value) {
    if (out_.size() < entries_) out_.push_back(value);
  }

  // Returns where the next segment begins. None is without entries, so that their number bounds the work. An
  // indirect one repeats others, which may not be indirect.
  size_t segment(size_t at, bool indirect_allowed) {
    const uint16_t code = word(at), length = word(at + 1);
    if (length == 0) fail("has an empty segment");
    if (code == 0) {
      for (size_t i = 0; i < length; ++i) push(word(at + 2 + i));
      return at + 2 + length;
    }
    if (code == 1) {
      if (out_.empty()) fail("begins with a linear segment");
      const double from = out_.back(), to = word(at + 2);
      for (size_t i = 1; i <= length; ++i)
        push(static_cast<uint16_t>(from + (to - from) * static_cast<double>(i) / length));
      return at + 3;
    }
    if (code != 2 || !indirect_allowed) fail("has a segment of an unknown kind");
    // The offset counts bytes, its low word first.
    size_t target = (static_cast<size_t>(word(at + 3)) << 16 | word(at + 2)) / 2;
    for (size_t i = 0; i < length && out_.size() < entries_; ++i) target = segment(target, false);
    return at + 4;
  }

  const std::vector<uint16_t>& words_;
  size_t entries_;
  std::vector<uint16_t> out_;
};

struct PaletteChannel {
  Descriptor descriptor;
  std::vector<uint8_t> entries;
};

PaletteChannel read_channel(DcmItem& dataset, const DcmTagKey& descriptor_tag, const DcmTagKey& data,
                            const DcmTagKey& segmented, bool signed_input) {
  const auto descriptor = read_descriptor(dataset, descriptor_tag, signed_input);
  if (!descriptor) fail("has no descriptor");
  std::vector<uint16_t> words = unpacked(read_words(dataset, data), descriptor->entries);
  if (words.empty()) words = SegmentReader(read_words(dataset, segmented), descriptor->entries).read();
  if (words.empty()) fail("has no entries");
  words.resize(std::min(words.size(), descriptor->entries));
  // Some writers announce 16 bits and store 8.
  const uint16_t most = *std::ranges::max_element(words);
  const int shift = descriptor->bits > 8 && most > 255 ? 8 : 0;
  PaletteChannel channel{*descriptor, {}};
  for (const uint16_t word : words) channel.entries.push_back(static_cast<uint8_t>(word >> shift));
  return channel;
}

}  // namespace

std::optional<LookupTable> read_lookup_table(DcmItem& item, bool signed_input) {
  const auto descriptor = read_descriptor(item, DCM_LUTDescriptor, signed_input);
  if (!descriptor) return std::nullopt;
  LookupTable table{descriptor->first, unpacked(read_words(item, DCM_LUTData), descriptor->entries),
                    std::clamp(descriptor->bits, 8, 16)};
  if (table.entries.empty()) return std::nullopt;
  table.entries.resize(std::min(table.entries.size(), descriptor->entries));
  // Some writers announce more bits than their entries use; taken literally, the image would be an eighth as
  // bright.
  const uint16_t most = *std::ranges::max_element(table.entries);
  table.bits = std::clamp(static_cast<int>(std::bit_width(most)), 8, 16);
  return table;
}

void apply_modality_table(const LookupTable& table, GreyFrame& frame) {
  const auto last = static_cast<int64_t>(table.entries.size()) - 1;
  const auto looked_up = [&](int32_t stored) {
    const int64_t index = std::clamp<int64_t>(int64_t{stored} - table.first, 0, last);
    return static_cast<int32_t>(table.entries[static_cast<size_t>(index)]);
  };
  // Padding is marked by stored values; after the table it is the value that no pixel can have.
  constexpr int32_t kPadding = -1;
  for (int32_t& value : frame.integers) value = frame.is_padding(value) ? kPadding : looked_up(value);
  if (frame.padding) frame.padding = {kPadding, kPadding};
  frame.bits_stored = table.bits;
  frame.is_signed = false;
}

ColourFrame apply_palette(DcmItem& dataset, const RawFrame& raw, const PixelLayout& layout) {
  if (layout.samples != 1)
    fail("belongs to an image of " + std::to_string(layout.samples) + " samples a pixel");
  const std::array channels{
      read_channel(dataset, DCM_RedPaletteColorLookupTableDescriptor, DCM_RedPaletteColorLookupTableData,
                   DCM_SegmentedRedPaletteColorLookupTableData, raw.is_signed),
      read_channel(dataset, DCM_GreenPaletteColorLookupTableDescriptor, DCM_GreenPaletteColorLookupTableData,
                   DCM_SegmentedGreenPaletteColorLookupTableData, raw.is_signed),
      read_channel(dataset, DCM_BluePaletteColorLookupTableDescriptor, DCM_BluePaletteColorLookupTableData,
                   DCM_SegmentedBluePaletteColorLookupTableData, raw.is_signed)};
  const SampleReader sample(raw);
  ColourFrame colour{layout.rows, layout.cols, std::vector<uint8_t>(layout.pixels() * 3)};
  for (size_t i = 0; i < layout.pixels(); ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const auto& [descriptor, entries] = channels[c];
      const int64_t first = descriptor.first, last = first + static_cast<int64_t>(entries.size()) - 1;
      const int64_t index = std::clamp(sample(i), first, last) - first;
      colour.rgb[3 * i + c] = entries[static_cast<size_t>(index)];
    }
  }
  return colour;
}

}  // namespace mii::medical
