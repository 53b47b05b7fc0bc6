#include "medical/dicom_structure.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "core/bytes.h"
#include "mii/error.h"

namespace mii {
namespace {

using Bytes = std::span<const std::byte>;
using namespace std::string_view_literals;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxElements = 1'000'000;     // DCMTK takes some 230 bytes for one
constexpr size_t kMaxElementsInSet = 100'000;  // it looks for one from the first on
// Elements that DCMTK must step over to insert those out of order.
constexpr size_t kMaxMoves = 10'000'000;
constexpr uint32_t kUndefined = 0xFFFFFFFF;
constexpr uint32_t kItem = 0xFFFEE000, kItemEnd = 0xFFFEE00D, kSequenceEnd = 0xFFFEE0DD;
constexpr size_t kNoEnd = std::numeric_limits<size_t>::max();

uint32_t byte_at(Bytes bytes, size_t at) { return std::to_integer<uint32_t>(bytes[at]); }

uint32_t read_u16(Bytes bytes, size_t at, bool big) {
  return load<uint16_t>(&bytes[at], big ? std::endian::big : std::endian::little);
}

uint32_t read_u32(Bytes bytes, size_t at, bool big) {
  return load<uint32_t>(&bytes[at], big ? std::endian::big : std::endian::little);
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

struct Attribute {
  uint32_t tag;
  std::string_view vr;
};

// What the program asks of a data set, in the order of the tags; PS3.6. The VR is for data sets that say
// none.
constexpr std::array kAttributes{
    Attribute{0x00041220, "SQ"}, Attribute{0x00041500, "CS"}, Attribute{0x00080005, "CS"},
    Attribute{0x00080016, "UI"}, Attribute{0x00080018, "UI"}, Attribute{0x00080020, "DA"},
    Attribute{0x00080030, "TM"}, Attribute{0x00080050, "SH"}, Attribute{0x00080060, "CS"},
    Attribute{0x00080080, "LO"}, Attribute{0x00080090, "PN"}, Attribute{0x00080104, "LO"},
    Attribute{0x00081030, "LO"}, Attribute{0x0008103E, "LO"}, Attribute{0x00082218, "SQ"},
    Attribute{0x00100010, "PN"}, Attribute{0x00100020, "LO"}, Attribute{0x00100021, "LO"},
    Attribute{0x00100030, "DA"}, Attribute{0x00100040, "CS"}, Attribute{0x00101010, "AS"},
    Attribute{0x00120062, "CS"}, Attribute{0x00120063, "LO"}, Attribute{0x00180015, "CS"},
    Attribute{0x0020000D, "UI"}, Attribute{0x0020000E, "UI"}, Attribute{0x00200010, "SH"},
    Attribute{0x00200011, "IS"}, Attribute{0x00200013, "IS"}, Attribute{0x00200032, "DS"},
    Attribute{0x00200037, "DS"}, Attribute{0x00209071, "SQ"}, Attribute{0x00209113, "SQ"},
    Attribute{0x00209116, "SQ"}, Attribute{0x00280002, "US"}, Attribute{0x00280004, "CS"},
    Attribute{0x00280006, "US"}, Attribute{0x00280008, "IS"}, Attribute{0x00280010, "US"},
    Attribute{0x00280011, "US"}, Attribute{0x00280100, "US"}, Attribute{0x00280101, "US"},
    Attribute{0x00280102, "US"}, Attribute{0x00280103, "US"}, Attribute{0x00280120, "US"},
    Attribute{0x00280121, "US"}, Attribute{0x00280301, "CS"}, Attribute{0x00281050, "DS"},
    Attribute{0x00281051, "DS"}, Attribute{0x00281052, "DS"}, Attribute{0x00281053, "DS"},
    Attribute{0x00281056, "CS"}, Attribute{0x00281101, "US"}, Attribute{0x00281102, "US"},
    Attribute{0x00281103, "US"}, Attribute{0x00281201, "OW"}, Attribute{0x00281202, "OW"},
    Attribute{0x00281203, "OW"}, Attribute{0x00281221, "OW"}, Attribute{0x00281222, "OW"},
    Attribute{0x00281223, "OW"}, Attribute{0x00282110, "CS"}, Attribute{0x00283000, "SQ"},
    Attribute{0x00283002, "US"}, Attribute{0x00283006, "OW"}, Attribute{0x00283010, "SQ"},
    Attribute{0x00289132, "SQ"}, Attribute{0x00289145, "SQ"}, Attribute{0x52009229, "SQ"},
    Attribute{0x52009230, "SQ"}};
static_assert(std::ranges::is_sorted(kAttributes, {}, &Attribute::tag));

const Attribute* attribute_of(uint32_t tag) {
  const auto* found = std::ranges::lower_bound(kAttributes, tag, {}, &Attribute::tag);
  return found != kAttributes.end() && found->tag == tag ? found : nullptr;
}

// Writes a data set in explicit VR, all sequences and items with delimiters instead of lengths.
class AttributeWriter {
 public:
  AttributeWriter(std::vector<std::byte>& out, bool big) : out_(out), big_(big) {}

  void delimiter(uint32_t tag, uint32_t length = 0) {
    u16(tag >> 16);
    u16(tag & 0xFFFF);
    u32(length);
  }
  void sequence(uint32_t tag) { header(tag, "SQ", kUndefined); }
  void leaf(uint32_t tag, std::string_view vr, Bytes value) {
    if (has_short_length(vr) && value.size() > 0xFFFF) return;
    header(tag, vr, static_cast<uint32_t>(value.size()));
    out_.insert(out_.end(), value.begin(), value.end());
  }

 private:
  void u16(uint32_t value) {
    const std::byte low{static_cast<uint8_t>(value)}, high{static_cast<uint8_t>(value >> 8)};
    out_.push_back(big_ ? high : low);
    out_.push_back(big_ ? low : high);
  }
  void u32(uint32_t value) {
    u16(big_ ? value >> 16 : value & 0xFFFF);
    u16(big_ ? value & 0xFFFF : value >> 16);
  }
  void header(uint32_t tag, std::string_view vr, uint32_t length) {
    u16(tag >> 16);
    u16(tag & 0xFFFF);
    for (const char c : vr) out_.push_back(static_cast<std::byte>(c));
    if (has_short_length(vr)) return u16(length);
    u16(0);
    u32(length);
  }

  std::vector<std::byte>& out_;
  const bool big_;
};

class Walk {
 public:
  Walk(Bytes bytes, DicomStructure& found)
      : bytes_(bytes), found_(found), big_(found.big_endian), attributes_(found.attributes, big_) {
    levels_.push_back({.explicit_vr = found.explicit_vr, .big = big_});
  }

  void run() {
    at_ = found_.dataset;
    while (step()) {
    }
    while (levels_.size() > 1) leave();
  }

 private:
  // The data set, an item, or a sequence of items.
  struct Level {
    size_t end = kNoEnd;
    bool is_sequence = false;
    bool explicit_vr = true;
    bool big = false;
    bool is_asked_for = true;
    uint32_t highest_tag = 0;
    size_t elements = 0;
  };

  static void expect(bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::invalid_image, std::string("DICOM: ") + what);
  }

  void enter(const Level& level) {
    expect(levels_.size() < kMaxDepth, "sequences are nested more than 32 deep");
    levels_.push_back(level);
  }

  bool is_asked_for(uint32_t tag) const {
    return levels_.back().is_asked_for && attribute_of(tag) != nullptr;
  }

  // What a sequence of VR UN holds is in implicit VR little endian, whatever is around it; PS3.5
  // section 6.2.2. In big-endian data sets, which are long retired, nothing of it is asked for.

  void enter_sequence(const Element& element) {
    const bool unknown = element.vr == "UN", asked = is_asked_for(element.tag) && !(unknown && big_);
    if (asked) attributes_.sequence(element.tag);
    enter({.end = end_of(element.value, element.length),
           .is_sequence = true,
           .explicit_vr = levels_.back().explicit_vr && !unknown,
           .big = levels_.back().big && !unknown,
           .is_asked_for = asked});
  }

  void enter_item(const Element& element, bool is_asked_for) {
    if (is_asked_for) attributes_.delimiter(kItem, kUndefined);
    enter({.end = end_of(element.value, element.length),
           .explicit_vr = levels_.back().explicit_vr,
           .big = levels_.back().big,
           .is_asked_for = is_asked_for});
  }

  void leave() {
    if (levels_.back().is_asked_for)
      attributes_.delimiter(levels_.back().is_sequence ? kSequenceEnd : kItemEnd);
    levels_.pop_back();
  }

  // Of a value that begins at `from`; a value that extends beyond the file ends with the file.
  size_t end_of(size_t from, uint32_t length) const {
    return length == kUndefined ? kNoEnd : from + std::min<size_t>(length, bytes_.size() - from);
  }

  bool step() {
    while (levels_.size() > 1 && at_ >= levels_.back().end) leave();
    Element element;
    if (at_ >= bytes_.size() ||
        !read_element(bytes_, at_, levels_.back().explicit_vr, levels_.back().big, element))
      return false;
    expect(++elements_ <= kMaxElements, "more than one million elements");
    if (element.tag >> 16 == 0xFFFE) return delimiter(element);
    if (levels_.back().is_sequence) return false;  // something else than an item: the structure ends here
    if (is_pixel_data(element.tag)) {
      if (levels_.size() == 1) return pixel_data(element);
      if (element.length == kUndefined) return pass_over_fragments(element.value);
    }
    count(element.tag);
    if (opens_sequence(element) && (element.length == kUndefined || is_asked_for(element.tag))) {
      enter_sequence(element);
      at_ = element.value;
      return true;
    }
    if (element.length > bytes_.size() - element.value) return false;  // the file ends within it
    leaf(element);
    at_ = element.value + element.length;
    return true;
  }

  // The VR that is told counts where it is one of numbers or text: US and SS are both in use for some
  // attributes. A sequence that has no items is none.
  void leaf(const Element& element) {
    if (!is_asked_for(element.tag)) return;
    const bool is_told = !element.vr.empty() && is_vr(element.vr) && has_short_length(element.vr);
    const std::string_view vr = is_told ? element.vr : attribute_of(element.tag)->vr;
    if (vr != "SQ") attributes_.leaf(element.tag, vr, bytes_.subspan(element.value, element.length));
  }

  // DCMTK keeps a set's elements in the order of their tags, and finds an element's place from the end.
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
           read_tag(bytes_, element.value, levels_.back().big && element.vr != "UN") == kItem;
  }

  // An item outside of a sequence is passed over with what it holds, a delimiter that ends nothing alone:
  // files have both behind sequences that say they are empty.
  bool delimiter(const Element& element) {
    const bool in_sequence = levels_.back().is_sequence;
    at_ = element.value;
    if (element.tag == kItem) {
      enter_item(element, in_sequence && levels_.back().is_asked_for);
    } else if (element.tag == kItemEnd && !in_sequence && levels_.size() > 1) {
      leave();
    } else if (element.tag == kSequenceEnd && levels_.size() > 1) {
      if (!in_sequence && levels_.size() > 2) leave();
      leave();
    }
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

  // The next fragment; false when there is none at `at`.
  bool fragment(size_t& at, Element& item, Bytes& value) {
    if (!read_element(bytes_, at, true, false, item) || item.tag != kItem || item.length == kUndefined)
      return false;
    value = bytes_.subspan(item.value, end_of(item.value, item.length) - item.value);
    at = item.value + value.size();
    expect(++elements_ <= kMaxElements, "more than one million fragments");
    return true;
  }

  void fragments(size_t at) {
    Element item;
    Bytes value;
    for (bool first = true; fragment(at, item, value); first = false) {
      if (first)
        found_.pixels.offset_table = value;
      else
        found_.pixels.fragments.push_back(value);
      found_.pixels.cut_off = value.size() < item.length;
    }
  }

  // Those of an icon within an item. The delimiter behind them ends nothing that was entered.
  bool pass_over_fragments(size_t at) {
    Element item;
    Bytes value;
    while (fragment(at, item, value)) {
    }
    at_ = item.tag == kSequenceEnd ? item.value : at;
    return at_ < bytes_.size();
  }

  Bytes bytes_;
  DicomStructure& found_;
  const bool big_;
  AttributeWriter attributes_;
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
  // A data set starts with a group up to 00FF, which shows the byte order.
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
