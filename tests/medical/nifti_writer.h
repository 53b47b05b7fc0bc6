#pragma once

// Writes small NIfTI files byte by byte from the offsets that the standard gives, without any NIfTI library.

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <zlib.h>

namespace mii {

using Data = std::vector<std::byte>;

/// A number's bytes, in the order asked for.
template <class T>
std::string number(T value, bool big = false) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return big == (std::endian::native == std::endian::big) ? bytes : std::string(bytes.rbegin(), bytes.rend());
}

template <class T>
std::string numbers(const std::vector<T>& values, bool big = false) {
  std::string bytes;
  for (const T value : values) bytes += number(value, big);
  return bytes;
}

/// One file; what is not set is as most programs write it.
struct NiftiWriter {
  int version = 1;
  bool big = false;
  int64_t datatype = 4, bitpix = 16;  // INT16
  std::vector<int64_t> dim = {3, 1, 1, 1};
  std::array<double, 8> pixdim = {1, 1, 1, 1, 1, 1, 1, 1};
  double vox_offset = -1;  // -1: right behind the header
  double slope = 0, intercept = 0;
  int64_t intent = 0, units = 2, qform_code = 0, sform_code = 0;
  std::array<double, 3> quaternion = {0, 0, 0};
  std::array<std::array<double, 4>, 3> srow = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
  std::string magic;   // empty: "n+1" or "n+2" and its line ends
  std::string voxels;  // in the file's byte order

  size_t header_bytes() const { return version == 1 ? 352 : 544; }

  Data bytes() const {
    std::string out = version == 1 ? header1() : header2();
    const double offset = offset_written();
    if (offset > static_cast<double>(out.size()) && offset < 1e6) out.resize(static_cast<size_t>(offset));
    out += voxels;
    const auto data = std::as_bytes(std::span(out.data(), out.size()));
    return {data.begin(), data.end()};
  }

 private:
  double offset_written() const {
    return vox_offset == -1 ? static_cast<double>(header_bytes()) : vox_offset;
  }

  template <class T>
  void put(std::string& out, size_t offset, T value) const {
    out.replace(offset, sizeof(T), number(value, big));
  }

  /// Integers are stored as Int, fractions as Real.
  template <class Int, class Real>
  void put_arrays(std::string& out, size_t dim_at, size_t pixdim_at, size_t quaternion_at,
                  size_t srow_at) const {
    for (size_t i = 0; i < dim.size(); ++i) put(out, dim_at + i * sizeof(Int), static_cast<Int>(dim[i]));
    for (size_t i = 0; i < 8; ++i) put(out, pixdim_at + i * sizeof(Real), static_cast<Real>(pixdim[i]));
    for (size_t i = 0; i < 3; ++i)
      put(out, quaternion_at + i * sizeof(Real), static_cast<Real>(quaternion[i]));
    for (size_t i = 0; i < 12; ++i)
      put(out, srow_at + i * sizeof(Real), static_cast<Real>(srow[i / 4][i % 4]));
  }

  std::string header1() const {
    std::string out(352, '\0');
    put(out, 0, int32_t{348});
    put_arrays<int16_t, float>(out, 40, 76, 256, 280);
    put(out, 68, static_cast<int16_t>(intent));
    put(out, 70, static_cast<int16_t>(datatype));
    put(out, 72, static_cast<int16_t>(bitpix));
    put(out, 108, static_cast<float>(offset_written()));
    put(out, 112, static_cast<float>(slope));
    put(out, 116, static_cast<float>(intercept));
    put(out, 123, static_cast<int8_t>(units));
    put(out, 252, static_cast<int16_t>(qform_code));
    put(out, 254, static_cast<int16_t>(sform_code));
    const std::string written = magic.empty() ? std::string("n+1\0", 4) : magic;
    return out.replace(344, written.size(), written);
  }

  std::string header2() const {
    std::string out(544, '\0');
    put(out, 0, int32_t{540});
    put_arrays<int64_t, double>(out, 16, 104, 352, 400);
    put(out, 12, static_cast<int16_t>(datatype));
    put(out, 14, static_cast<int16_t>(bitpix));
    put(out, 168, static_cast<int64_t>(offset_written()));
    put(out, 176, slope);
    put(out, 184, intercept);
    put(out, 344, static_cast<int32_t>(qform_code));
    put(out, 348, static_cast<int32_t>(sform_code));
    put(out, 500, static_cast<int32_t>(units));
    put(out, 504, static_cast<int32_t>(intent));
    const std::string written = magic.empty() ? std::string("n+2\0\r\n\x1A\n", 8) : magic;
    return out.replace(4, written.size(), written);
  }
};

/// One gzip member.
inline Data gzipped(std::span<const std::byte> plain) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  Data out(deflateBound(&stream, plain.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace mii
