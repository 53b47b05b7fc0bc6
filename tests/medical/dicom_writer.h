#pragma once

// Writes small DICOM files byte by byte as PS3.5 and PS3.10 say, without any DICOM library.

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "medical/nifti_writer.h"

namespace mii {

inline Data data_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

/// How a data set is written.
struct DicomForm {
  bool explicit_vr = true;
  bool big = false;
};

inline constexpr DicomForm kImplicit{.explicit_vr = false, .big = false};
inline constexpr DicomForm kBig{.explicit_vr = true, .big = true};

inline std::string dicom_tag(uint32_t tag, bool big = false) {
  return number(static_cast<uint16_t>(tag >> 16), big) + number(static_cast<uint16_t>(tag), big);
}

/// Value representations with 32 bits for their length; PS3.5 section 7.1.2.
inline bool has_long_length(std::string_view vr) {
  static constexpr std::array<std::string_view, 13> kLong{"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                                          "SV", "UC", "UN", "UR", "UT", "UV"};
  return std::ranges::find(kLong, vr) != kLong.end();
}

/// An element's header and value; length: what is written as its length, whatever the value has.
inline std::string dicom_element(const DicomForm& form, uint32_t tag, std::string_view vr,
                                 const std::string& value, size_t length) {
  const std::string head = dicom_tag(tag, form.big);
  if (!form.explicit_vr || tag >> 16 == 0xFFFE)
    return head + number(static_cast<uint32_t>(length), form.big) + value;
  if (has_long_length(vr))
    return head + std::string(vr) + std::string(2, '\0') + number(static_cast<uint32_t>(length), form.big) +
           value;
  return head + std::string(vr) + number(static_cast<uint16_t>(length), form.big) + value;
}

inline std::string dicom_element(const DicomForm& form, uint32_t tag, std::string_view vr,
                                 const std::string& value) {
  return dicom_element(form, tag, vr, value, value.size());
}

constexpr uint32_t kUndefinedLength = 0xFFFFFFFF;

/// A data set or an item, its elements in the order of their tags. Setting an element again replaces it.
class DicomSet {
 public:
  explicit DicomSet(DicomForm form = {}) : form_(form) {}

  DicomSet& raw(uint32_t tag, std::string_view vr, std::string value) {
    if (value.size() % 2 != 0) value += vr == "UI" || vr == "OB" ? '\0' : ' ';
    elements_[tag] = dicom_element(form_, tag, vr, value);
    return *this;
  }
  DicomSet& us(uint32_t tag, const std::vector<uint16_t>& values) {
    return raw(tag, "US", numbers(values, form_.big));
  }
  DicomSet& ss(uint32_t tag, const std::vector<int16_t>& values) {
    return raw(tag, "SS", numbers(values, form_.big));
  }
  DicomSet& words(uint32_t tag, const std::vector<uint16_t>& values) {
    return raw(tag, "OW", numbers(values, form_.big));
  }
  /// undefined: items and the sequence end with delimiters instead of having lengths.
  DicomSet& sequence(uint32_t tag, const std::vector<DicomSet>& items, bool undefined = false) {
    std::string value;
    for (const DicomSet& item : items) {
      const std::string bytes = item.bytes();
      value += dicom_element(form_, 0xFFFEE000, "", bytes, undefined ? kUndefinedLength : bytes.size());
      if (undefined) value += dicom_element(form_, 0xFFFEE00D, "", "");
    }
    if (undefined) value += dicom_element(form_, 0xFFFEE0DD, "", "");
    elements_[tag] = dicom_element(form_, tag, "SQ", value, undefined ? kUndefinedLength : value.size());
    return *this;
  }
  /// Fragments behind an offset table, which may be empty.
  DicomSet& encapsulated(const std::vector<std::string>& fragments, const std::string& offset_table = "") {
    std::string value = dicom_element(form_, 0xFFFEE000, "", offset_table);
    for (std::string fragment : fragments) {
      if (fragment.size() % 2 != 0) fragment += '\0';
      value += dicom_element(form_, 0xFFFEE000, "", fragment);
    }
    value += dicom_element(form_, 0xFFFEE0DD, "", "");
    elements_[0x7FE00010] = dicom_element(form_, 0x7FE00010, "OB", value, kUndefinedLength);
    return *this;
  }
  /// Ready bytes in the place of a tag.
  DicomSet& bytes_at(uint32_t tag, std::string bytes) {
    elements_[tag] = std::move(bytes);
    return *this;
  }
  DicomSet& without(uint32_t tag) {
    elements_.erase(tag);
    return *this;
  }

  const DicomForm& form() const { return form_; }
  std::string bytes() const {
    std::string all;
    for (const auto& [tag, element] : elements_) all += element;
    return all;
  }

 private:
  DicomForm form_;
  std::map<uint32_t, std::string> elements_;
};

// Transfer syntaxes.
inline constexpr const char* kImplicitLittle = "1.2.840.10008.1.2";
inline constexpr const char* kExplicitLittle = "1.2.840.10008.1.2.1";
inline constexpr const char* kDeflated = "1.2.840.10008.1.2.1.99";
inline constexpr const char* kExplicitBig = "1.2.840.10008.1.2.2";
inline constexpr const char* kRle = "1.2.840.10008.1.2.5";
inline constexpr const char* kJpegBaseline = "1.2.840.10008.1.2.4.50";
inline constexpr const char* kJpegExtended = "1.2.840.10008.1.2.4.51";
inline constexpr const char* kJpegLossless = "1.2.840.10008.1.2.4.70";
inline constexpr const char* kJpegLs = "1.2.840.10008.1.2.4.80";
inline constexpr const char* kJpeg2000 = "1.2.840.10008.1.2.4.90";
inline constexpr const char* kHtj2k = "1.2.840.10008.1.2.4.201";

/// A Part 10 file. preamble: the first bytes of the 128 before "DICM".
inline Data part10(const std::string& transfer_syntax, const std::string& dataset,
                   const std::string& preamble = "") {
  DicomSet meta;
  meta.raw(0x00020001, "OB", std::string("\0\1", 2));
  meta.raw(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.2");
  meta.raw(0x00020003, "UI", "2.25.1");
  meta.raw(0x00020010, "UI", transfer_syntax);
  const std::string group = meta.bytes();
  const std::string length = dicom_element({}, 0x00020000, "UL", number(static_cast<uint32_t>(group.size())));
  return data_of(preamble + std::string(128 - preamble.size(), '\0') + "DICM" + length + group + dataset);
}

inline std::string deflated(const std::string& plain) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// What describes the pixels of an image. high_bit -1: the highest of the stored bits.
struct DicomPixels {
  uint16_t rows = 1, cols = 1, samples = 1;
  uint16_t allocated = 16, stored = 16;
  int high_bit = -1;
  bool is_signed = false;
  std::string photometric = "MONOCHROME2";
  std::string modality = "OT";
  uint32_t frames = 1;
  std::string pixels;  ///< in the form's byte order; empty: the element is left out
};

inline DicomSet dicom_image(const DicomPixels& p, DicomForm form = {}) {
  DicomSet set(form);
  set.raw(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7");  // Secondary Capture Image Storage
  set.raw(0x00080060, "CS", p.modality);
  set.us(0x00280002, {p.samples});
  set.raw(0x00280004, "CS", p.photometric);
  if (p.samples > 1) set.us(0x00280006, {0});
  if (p.frames != 1) set.raw(0x00280008, "IS", std::to_string(p.frames));
  set.us(0x00280010, {p.rows});
  set.us(0x00280011, {p.cols});
  set.us(0x00280100, {p.allocated});
  set.us(0x00280101, {p.stored});
  set.us(0x00280102, {static_cast<uint16_t>(p.high_bit < 0 ? p.stored - 1 : p.high_bit)});
  set.us(0x00280103, {static_cast<uint16_t>(p.is_signed)});
  if (!p.pixels.empty()) set.raw(0x7FE00010, p.allocated > 8 ? "OW" : "OB", p.pixels);
  return set;
}

/// A file in the transfer syntax that fits the form of the set.
inline Data dicom_file(const DicomSet& set) {
  const char* syntax = !set.form().explicit_vr ? kImplicitLittle
                       : set.form().big        ? kExplicitBig
                                               : kExplicitLittle;
  return part10(syntax, set.bytes());
}

/// One frame in RLE: a segment for each byte of a sample, the highest first. PS3.5 annex G. Runs of equal
/// bytes and literal stretches both occur. samples: [pixels] of little-endian bytes_per_sample each.
inline std::string rle_segment(const std::string& bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size();) {
    size_t run = 1;
    while (at + run < bytes.size() && bytes[at + run] == bytes[at] && run < 128) ++run;
    if (run > 1) {
      out += static_cast<char>(1 - static_cast<int>(run));
      out += bytes[at];
      at += run;
      continue;
    }
    size_t literal = 1;
    while (at + literal < bytes.size() && bytes[at + literal] != bytes[at + literal - 1] && literal < 128)
      ++literal;
    out += static_cast<char>(literal - 1);
    out += bytes.substr(at, literal);
    at += literal;
  }
  if (out.size() % 2 != 0) out += '\0';
  return out;
}

inline std::string rle_frame(const std::string& frame, size_t samples, size_t bytes_per_sample) {
  const size_t step = samples * bytes_per_sample;
  std::vector<std::string> segments;
  for (size_t s = 0; s < samples; ++s)
    for (size_t b = bytes_per_sample; b-- > 0;) {
      std::string plane;
      for (size_t at = s * bytes_per_sample + b; at < frame.size(); at += step) plane += frame[at];
      segments.push_back(rle_segment(plane));
    }
  std::string head = number(static_cast<uint32_t>(segments.size()));
  uint32_t offset = 64;
  for (const std::string& segment : segments) {
    head += number(offset);
    offset += static_cast<uint32_t>(segment.size());
  }
  head.resize(64);
  for (const std::string& segment : segments) head += segment;
  return head;
}

}  // namespace mii
