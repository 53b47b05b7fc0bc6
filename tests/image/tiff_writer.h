#pragma once

// Writes TIFF files byte by byte from the tags that the standard gives, without any TIFF library.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <zlib.h>

#include "medical/nifti_writer.h"

namespace mii {

inline std::string deflated(const std::string& plain) {
  uLongf size = compressBound(static_cast<uLong>(plain.size()));
  std::string out(size, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(plain.data()),
            static_cast<uLong>(plain.size()), 1);
  out.resize(size);
  return out;
}

/// One file of one directory; what is not set is as most programs write it.
struct TiffWriter {
  uint32_t width = 1, height = 1;
  uint32_t bits = 8, samples = 1;
  uint32_t sample_format = 1;  // 1 unsigned, 2 signed, 3 floating-point
  std::optional<uint32_t> photometric = 1;
  uint32_t compression = 1;
  uint32_t orientation = 1;
  uint32_t planar = 1;
  uint32_t rows_a_strip = 0xFFFFFFFF;
  uint32_t tile = 0;                  // its side; 0: strips
  uint32_t copies = 1;                // strips or tiles that all are the same bytes
  std::vector<std::string> blocks;    // strips or tiles, as they are stored
  std::map<uint32_t, uint32_t> more;  // tags of one 32-bit number
  bool big = false;

  Data bytes() const {
    std::string out = big ? "MM" : "II";
    out.append(u16(42)).append(u32(0));
    std::map<uint32_t, std::string> fields;
    std::vector<uint32_t> offsets, sizes;
    for (const std::string& block : blocks) {
      offsets.insert(offsets.end(), copies, static_cast<uint32_t>(out.size()));
      sizes.insert(sizes.end(), copies, static_cast<uint32_t>(block.size()));
      out += block;
    }
    for (const auto& [tag, value] : tags()) fields[tag] = field({value}, out);
    fields[258] = field(std::vector<uint32_t>(samples, bits), out);
    fields[339] = field(std::vector<uint32_t>(samples, sample_format), out);
    fields[tile != 0 ? 324 : 273] = field(offsets, out);
    fields[tile != 0 ? 325 : 279] = field(sizes, out);
    out.resize((out.size() + 1) / 2 * 2);
    out.replace(4, 4, u32(static_cast<uint32_t>(out.size())));
    out += u16(static_cast<uint32_t>(fields.size()));
    for (const auto& [tag, rest] : fields) out.append(u16(tag)).append(rest);
    out += u32(0);
    const auto data = std::as_bytes(std::span(out.data(), out.size()));
    return {data.begin(), data.end()};
  }

 private:
  std::string u16(uint32_t v) const { return number(static_cast<uint16_t>(v), big); }
  std::string u32(uint32_t v) const { return number(v, big); }

  std::map<uint32_t, uint32_t> tags() const {
    std::map<uint32_t, uint32_t> tags = {{256, width},   {257, height},      {259, compression},
                                         {277, samples}, {274, orientation}, {284, planar}};
    if (photometric) tags[262] = *photometric;
    if (tile != 0) tags.insert({{322, tile}, {323, tile}});
    if (tile == 0) tags.insert({278, std::min(rows_a_strip, height)});
    for (const auto& [tag, value] : more) tags[tag] = value;
    return tags;
  }

  // Type, count and value of a tag of 32-bit numbers, of one of them or of many that go into the file.
  std::string field(const std::vector<uint32_t>& values, std::string& out) const {
    const std::string head = u16(4) + u32(static_cast<uint32_t>(values.size()));
    if (values.size() == 1) return head + u32(values[0]);
    const auto offset = static_cast<uint32_t>(out.size());
    out += numbers(values, big);
    return head + u32(offset);
  }
};

}  // namespace mii
