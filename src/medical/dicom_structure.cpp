#include "medical/dicom_structure.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string_view>

#include "mii/error.h"

namespace mii {
namespace {

using Bytes = std::span<const std::byte>;
using namespace std::string_view_literals;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxElements = 1'000'000;     // DCMTK takes some 230 bytes for one
constexpr size_t kMaxElementsInSet = 100'000;  // it looks for one from the first on
// Elements that those out of order have to be put before, one by one.
constexpr size_t kMaxMoves = 10'000'000;
constexpr uint32_t kUndefined = 0xFFFFFFFF;
constexpr uint32_t kItem = 0xFFFEE000, kItemEnd = 0xFFFEE00D, kSequenceEnd = 0xFFFEE0DD;
constexpr uint32_t kRecordType = 0x00041430;
constexpr size_t kNoEnd = std::numeric_limits<size_t>::max();

uint32_t byte_at(Bytes bytes, size_t at) { return std::to_integer<uint32_t>(bytes[at]); }

uint32_t read_u16(Bytes bytes, size_t at, bool big) {
  return big ? byte_at(bytes, at) << 8 | byte_at(bytes, at + 1)
             : byte_at(bytes, at + 1) << 8 | byte_at(bytes, at);
}

uint32_t read_u32(Bytes bytes, size_t at, bool big) {
  const uint32_t first = read_u16(bytes, at, big), second = read_u16(bytes, at + 2, big);
  return big ? first << 16 | second : second << 16 | first;
}

uint32_t read_tag(Bytes bytes, size_t at, bool big) {
  return read_u16(bytes, at, big) << 16 | read_u16(bytes, at + 2, big);
}

std::string_view text_at(Bytes bytes, size_t at, size_t n) {
  return {reinterpret_cast<const char*>(bytes.data()) + at, n};
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_vr(std::string_view vr) { return is_upper(vr[0]) && is_upper(vr[1]); }

// Value representations with 16 bits for their length; PS3.5 table 7.1-2. All others have 32.
bool has_short_length(std::string_view vr) {
  static constexpr std::array kShort{"AE"sv, "AS"sv, "AT"sv, "CS"sv, "DA"sv, "DS"sv, "DT"sv,
                                     "FD"sv, "FL"sv, "IS"sv, "LO"sv, "LT"sv, "PN"sv, "SH"sv,
                                     "SL"sv, "SS"sv, "ST"sv, "TM"sv, "UI"sv, "UL"sv, "US"sv};
  return !is_vr(vr) || std::ranges::find(kShort, vr) != kShort.end();
}

struct Element {
  uint32_t tag = 0;
  std::string_view vr;  // empty in implicit VR
  uint32_t length = 0;
  size_t value = 0;  // where it begins
};

// The header of the element at `at`; false when the bytes end within it.
bool read_element(Bytes bytes, size_t at, bool explicit_vr, bool big, Element& element) {
  if (bytes.size() - at < 8) return false;
  element.tag = read_tag(bytes, at, big);
  element.vr = {};
  if (!explicit_vr || element.tag >> 16 == 0xFFFE) {
    element.length = read_u32(bytes, at + 4, big);
    element.value = at + 8;
    return true;
  }
  element.vr = text_at(bytes, at + 4, 2);
  if (has_short_length(element.vr)) {
    element.length = read_u16(bytes, at + 6, big);
    element.value = at + 8;
    return true;
  }
  if (bytes.size() - at < 12) return false;
  element.length = read_u32(bytes, at + 8, big);
  element.value = at + 12;
  return true;
}

class Walk {
 public:
  Walk(Bytes bytes, DicomStructure& found) : bytes_(bytes), found_(found), big_(found.big_endian) {
    levels_.push_back({kNoEnd, false, found.explicit_vr});
  }

  void run() {
    at_ = found_.dataset;
    while (step()) {
    }
    found_.attributes_end = std::min(at_, bytes_.size());
  }

 private:
  // The data set, an item, or a sequence of items.
  struct Level {
    size_t end;
    bool is_sequence;
    bool explicit_vr;
    uint32_t highest_tag = 0;
    size_t elements = 0;
  };

  static void expect(bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::invalid_image, std::string("DICOM: ") + what);
  }

  void enter(size_t end, bool is_sequence, bool explicit_vr) {
    expect(levels_.size() < kMaxDepth, "sequences are nested more than 32 deep");
    levels_.push_back({end, is_sequence, explicit_vr});
  }

  // Of a value that begins at `from`; what reaches beyond the file ends with it.
  size_t end_of(size_t from, uint32_t length) const {
    return length == kUndefined ? kNoEnd : from + std::min<size_t>(length, bytes_.size() - from);
  }

  bool step() {
    while (levels_.size() > 1 && at_ >= levels_.back().end) levels_.pop_back();
    Element element;
    if (at_ >= bytes_.size() || !read_element(bytes_, at_, levels_.back().explicit_vr, big_, element))
      return false;
    expect(++elements_ <= kMaxElements, "more than one million elements");
    if (element.tag >> 16 == 0xFFFE) return levels_.size() > 1 && delimiter(element);
    if (levels_.back().is_sequence) return false;  // something else than an item: the structure ends here
    if (levels_.size() == 1 && is_pixel_data(element.tag)) return pixel_data(element);
    count(element.tag);
    if (opens_sequence(element)) {
      enter(end_of(element.value, element.length), true, levels_.back().explicit_vr && element.vr != "UN");
      at_ = element.value;
      return true;
    }
    if (element.length > bytes_.size() - element.value) return false;  // the file ends within it
    expect(element.tag != kRecordType || is_code(element), "a damaged type of a directory record");
    at_ = element.value + element.length;
    return true;
  }

  // DCMTK looks at the type of a directory record while it reads, and throws for what is none.
  bool is_code(const Element& element) const {
    constexpr size_t kLongestCode = 16;
    const std::string_view text = text_at(bytes_, element.value, element.length);
    return text.size() <= kLongestCode &&
           text.substr(0, text.find_last_not_of('\0') + 1).find('\0') == text.npos;
  }

  // A set keeps its elements in the order of their tags, and finds an element's place from the end.
  void count(uint32_t tag) {
    Level& level = levels_.back();
    if (tag <= level.highest_tag) moves_ += level.elements;
    expect(moves_ <= kMaxMoves, "too many elements out of order");
    level.highest_tag = std::max(level.highest_tag, tag);
    expect(++level.elements <= kMaxElementsInSet, "more than 100000 elements in one set");
  }

  bool opens_sequence(const Element& element) const {
    if (element.length == kUndefined || element.vr == "SQ") return true;
    if (!element.vr.empty() && element.vr != "UN") return false;
    return element.length >= 8 && element.length <= bytes_.size() - element.value &&
           read_tag(bytes_, element.value, big_) == kItem;
  }

  // False for what does not belong where it is found: the structure ends before it.
  bool delimiter(const Element& element) {
    const bool in_sequence = levels_.back().is_sequence;
    if (element.tag == kItem && in_sequence) {
      enter(end_of(element.value, element.length), false, levels_.back().explicit_vr);
    } else if (element.tag == kItemEnd && !in_sequence) {
      levels_.pop_back();
    } else if (element.tag == kSequenceEnd) {
      if (!in_sequence && levels_.size() > 2) levels_.pop_back();
      levels_.pop_back();
    } else {
      return false;
    }
    at_ = element.value;
    return true;
  }

  static bool is_pixel_data(uint32_t tag) {
    return tag == 0x7FE00010 || tag == 0x7FE00008 || tag == 0x7FE00009;
  }

  bool pixel_data(const Element& element) {
    auto& pixels = found_.pixels;
    pixels.tag = element.tag;
    pixels.element = at_;
    pixels.words = element.vr != "OB";
    pixels.encapsulated = element.length == kUndefined;
    if (pixels.encapsulated)
      fragments(element.value);
    else
      pixels.value = bytes_.subspan(element.value, end_of(element.value, element.length) - element.value);
    return false;
  }

  void fragments(size_t at) {
    Element item;
    bool first = true;
    while (read_element(bytes_, at, true, false, item) && item.tag == kItem && item.length != kUndefined) {
      const Bytes value = bytes_.subspan(item.value, end_of(item.value, item.length) - item.value);
      if (first)
        found_.pixels.offset_table = value;
      else
        found_.pixels.fragments.push_back(value);
      found_.pixels.cut_off = value.size() < item.length;
      first = false;
      at = item.value + value.size();
      expect(++elements_ <= kMaxElements, "more than one million fragments");
    }
  }

  Bytes bytes_;
  DicomStructure& found_;
  const bool big_;
  size_t at_ = 0;
  size_t elements_ = 0;
  size_t moves_ = 0;
  std::vector<Level> levels_;
};

// A group that objects begin with, and an element that fits: the VR, or a short length without one.
bool plausible_first_element(Bytes bytes, bool big) {
  if (bytes.size() < 16) return false;
  const uint32_t tag = read_tag(bytes, 0, big);
  const bool known = tag >> 16 == 0x0002 || (tag >> 16 == 0x0008 && (tag & 0xFFFF) <= 0x0070);
  if (!known) return false;
  const std::string_view vr = text_at(bytes, 4, 2);
  if (is_vr(vr)) return has_short_length(vr) && read_u16(bytes, 6, big) <= 256;
  return read_u32(bytes, 4, big) <= 256;
}

// Group 0002, always explicit VR little endian; PS3.10 section 7.1.
size_t meta_header(Bytes bytes, size_t at, DicomStructure& found) {
  Element element;
  while (read_element(bytes, at, true, false, element) && element.tag >> 16 == 0x0002) {
    if (element.length > bytes.size() - element.value) break;
    if (element.tag == 0x00020010) {
      std::string uid(text_at(bytes, element.value, element.length));
      while (!uid.empty() && (uid.back() == '\0' || uid.back() == ' ')) uid.pop_back();
      found.transfer_syntax = uid;
    }
    at = element.value + element.length;
  }
  return at;
}

void detect_encoding(Bytes bytes, DicomStructure& found) {
  const size_t at = found.dataset;
  if (bytes.size() - std::min(at, bytes.size()) < 8) return;
  // No group is beyond 00FF at the start of a data set, so the order of its bytes shows.
  found.big_endian = byte_at(bytes, at) == 0 && byte_at(bytes, at + 1) != 0;
  found.explicit_vr = is_vr(text_at(bytes, at + 4, 2));
}

}  // namespace

bool looks_like_dicom(std::span<const std::byte> bytes) {
  if (bytes.size() >= 132 && text_at(bytes, 128, 4) == "DICM") return true;
  return plausible_first_element(bytes, false) || plausible_first_element(bytes, true);
}

DicomStructure walk_dicom(std::span<const std::byte> bytes) {
  DicomStructure found;
  const bool preamble = bytes.size() >= 132 && text_at(bytes, 128, 4) == "DICM";
  found.dataset = meta_header(bytes, preamble ? 132 : 0, found);
  if (found.transfer_syntax == kDeflatedTransferSyntax) return found;
  detect_encoding(bytes, found);
  Walk(bytes, found).run();
  return found;
}

DicomStructure walk_dicom_dataset(std::span<const std::byte> bytes, bool explicit_vr, bool big_endian) {
  DicomStructure found;
  found.explicit_vr = explicit_vr;
  found.big_endian = big_endian;
  Walk(bytes, found).run();
  return found;
}

}  // namespace mii
