// Changes fields of a NIfTI header, each as a whole number of its type, and the gzip wrapper around the file;
// then cuts slices in every plane and shows them by several profiles.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include <zlib.h>

#include "mii/error.h"

#include "medical/nifti.h"
#include "medical/present.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using Data = std::vector<uint8_t>;
using Random = std::minstd_rand;

constexpr size_t kMaxPlainBytes = 1 << 16;

size_t below(Random& random, size_t count) { return random() % count; }

// --- fields ------------------------------------------------------------------------------------------------

enum class Kind { integer, real };

struct Field {
  size_t offset;
  size_t bytes;  // of one number
  size_t count;
  Kind kind;
};

// Source: nifti1.h.
constexpr Field kFields1[] = {
    {0, 4, 1, Kind::integer},    // sizeof_hdr
    {40, 2, 8, Kind::integer},   // dim
    {40, 2, 8, Kind::integer},   // dim: twice as often as the others
    {68, 2, 1, Kind::integer},   // intent_code
    {70, 2, 1, Kind::integer},   // datatype
    {72, 2, 1, Kind::integer},   // bitpix
    {76, 4, 8, Kind::real},      // pixdim
    {108, 4, 1, Kind::real},     // vox_offset
    {112, 4, 2, Kind::real},     // scl_slope, scl_inter
    {123, 1, 1, Kind::integer},  // xyzt_units
    {252, 2, 2, Kind::integer},  // qform_code, sform_code
    {256, 4, 6, Kind::real},     // quatern, qoffset
    {280, 4, 12, Kind::real},    // srow
    {344, 1, 4, Kind::integer},  // magic
    {348, 1, 4, Kind::integer},  // extension
};

// Source: nifti2.h.
constexpr Field kFields2[] = {
    {0, 4, 1, Kind::integer},    // sizeof_hdr
    {4, 1, 8, Kind::integer},    // magic
    {12, 2, 2, Kind::integer},   // datatype, bitpix
    {16, 8, 8, Kind::integer},   // dim
    {16, 8, 8, Kind::integer},   // dim: twice as often as the others
    {104, 8, 8, Kind::real},     // pixdim
    {168, 8, 1, Kind::integer},  // vox_offset
    {176, 8, 2, Kind::real},     // scl_slope, scl_inter
    {344, 4, 2, Kind::integer},  // qform_code, sform_code
    {352, 8, 6, Kind::real},     // quatern, qoffset
    {400, 8, 12, Kind::real},    // srow
    {500, 4, 2, Kind::integer},  // xyzt_units, intent_code
    {540, 1, 4, Kind::integer},  // extension
};

struct Header {
  std::span<const Field> fields;
  size_t bytes;
};

bool is_version_2(const Data& file) { return file[0] == 540 % 256 || file[3] == 540 % 256; }

Header header_of(const Data& file) {
  return is_version_2(file) ? Header{kFields2, 544} : Header{kFields1, 352};
}

bool is_big(const Data& file) { return file[0] == 0 && file[3] != 0; }

void put(Data& file, size_t offset, size_t bytes, uint64_t bits) {
  const bool big = is_big(file);
  for (size_t i = 0; i < bytes; ++i) {
    const size_t shift = 8 * (big ? bytes - 1 - i : i);
    file[offset + i] = static_cast<uint8_t>(bits >> shift);
  }
}

uint64_t some_integer(Random& random) {
  constexpr int64_t kNumbers[] = {0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  5,
                                  6,
                                  7,
                                  8,
                                  16,
                                  24,
                                  32,
                                  64,
                                  96,
                                  128,
                                  256,
                                  512,
                                  768,
                                  1024,
                                  1280,
                                  1536,
                                  1792,
                                  2048,
                                  2304,
                                  348,
                                  352,
                                  540,
                                  544,
                                  -1,
                                  -2,
                                  255,
                                  127,
                                  -128,
                                  32767,
                                  -32768,
                                  65535,
                                  2147483647,
                                  -2147483648LL,
                                  int64_t{1} << 32,
                                  int64_t{1} << 48,
                                  INT64_MAX,
                                  INT64_MIN};
  const uint64_t number = static_cast<uint64_t>(kNumbers[below(random, std::size(kNumbers))]);
  return below(random, 4) == 0 ? random() : number;
}

uint64_t some_real(Random& random, size_t bytes) {
  constexpr double kNumbers[] = {0,      -0.0,  1,    -1,    0.5, 2,      348,  352,          353,   544,
                                 1e-300, 1e300, 1e38, 1e-45, 1e9, -1e300, 1e10, 4294967296.0, 0.001, 1e19};
  double value = kNumbers[below(random, std::size(kNumbers))];
  if (below(random, 6) == 0) value = below(random, 2) == 0 ? HUGE_VAL : std::nan("");
  const auto single = static_cast<float>(value);
  return bytes == 4 ? std::bit_cast<uint32_t>(single) : std::bit_cast<uint64_t>(value);
}

void change_field(Data& file, Random& random) {
  const Header header = header_of(file);
  const Field& field = header.fields[below(random, header.fields.size())];
  const size_t offset = field.offset + field.bytes * below(random, field.count);
  if (offset + field.bytes > file.size()) return;
  const uint64_t bits = field.kind == Kind::real ? some_real(random, field.bytes) : some_integer(random);
  put(file, offset, field.bytes, bits);
}

// A datatype with the bits that belong to it, so that the voxels are reached.
void change_datatype(Data& file, Random& random) {
  constexpr std::array<uint64_t, 2> kTypes[] = {{1, 1},      {2, 8},     {4, 16},    {8, 32},     {16, 32},
                                                {32, 64},    {64, 64},   {128, 24},  {256, 8},    {512, 16},
                                                {768, 32},   {1024, 64}, {1280, 64}, {1536, 128}, {1792, 128},
                                                {2048, 256}, {2304, 32}};
  const auto& [type, bits] = kTypes[below(random, std::size(kTypes))];
  const size_t offset = is_version_2(file) ? 12 : 70;
  put(file, offset, 2, type);
  put(file, offset + 2, 2, bits);
}

// The other byte order, of all numbers of the header.
void swap_header(Data& file, Random&) {
  const Header header = header_of(file);
  const Field* previous = nullptr;
  for (const Field& field : header.fields) {
    if (previous != nullptr && previous->offset == field.offset) continue;
    previous = &field;
    for (size_t i = 0; i < field.count; ++i) {
      const auto first = file.begin() + static_cast<ptrdiff_t>(field.offset + i * field.bytes);
      std::reverse(first, first + static_cast<ptrdiff_t>(field.bytes));
    }
  }
}

void change_magic(Data& file, Random& random) {
  constexpr const char* kMagics[] = {"n+1", "ni1", "n+2", "ni2", "n+3", "ANA"};
  const char* magic = kMagics[below(random, std::size(kMagics))];
  std::memcpy(file.data() + (is_version_2(file) ? 4 : 344), magic, 4);
}

// Makes the voxels fewer or more, or changes some.
void change_voxels(Data& file, Random& random) {
  const size_t header = header_of(file).bytes;
  const size_t old_size = file.size() - header;
  if (below(random, 3) == 0) return file.resize(header + below(random, 2 * old_size + 64));
  file.resize(file.size() + 64);
  file.resize(header + LLVMFuzzerMutate(file.data() + header, old_size, old_size + 64));
}

void change_plain(Data& file, Random& random) {
  file.resize(std::max<size_t>(file.size(), 4));
  file.resize(std::max(file.size(), header_of(file).bytes));
  constexpr void (*kChanges[])(Data&, Random&) = {change_field, change_field, change_field, change_datatype,
                                                  swap_header,  change_magic, change_voxels};
  kChanges[below(random, std::size(kChanges))](file, random);
}

// --- the gzip wrapper
// ------------------------------------------------------------------------------------------

bool is_gzip(const Data& file) { return file.size() > 2 && file[0] == 0x1F && file[1] == 0x8B; }

Data unwrapped(Data& file) {
  Data plain(kMaxPlainBytes);
  z_stream stream{};
  inflateInit2(&stream, MAX_WBITS + 16);
  stream.next_in = file.data();
  stream.avail_in = static_cast<uInt>(file.size());
  stream.next_out = plain.data();
  stream.avail_out = static_cast<uInt>(plain.size());
  inflate(&stream, Z_FINISH);
  plain.resize(stream.total_out);
  inflateEnd(&stream);
  return plain;
}

Data wrapped(Data& plain) {
  z_stream stream{};
  deflateInit2(&stream, 1, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  Data file(deflateBound(&stream, plain.size()));
  stream.next_in = plain.data();
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = file.data();
  stream.avail_out = static_cast<uInt>(file.size());
  deflate(&stream, Z_FINISH);
  file.resize(stream.total_out);
  deflateEnd(&stream);
  return file;
}

// --- what is tried
// -------------------------------------------------------------------------------------------------

const mii::Profile& some_profile(size_t number) {
  static const std::array profiles = {mii::Profile::parse("auto"), mii::Profile::parse("minmax"),
                                      mii::Profile::parse("percentile:0,100"),
                                      mii::Profile::parse("window:40,400"), mii::Profile::parse("stored")};
  return profiles[number % profiles.size()];
}

void show(const mii::Frame& frame, const mii::Profile& profile) {
  const auto* grey = std::get_if<mii::GreyFrame>(&frame);
  if (grey == nullptr) return;
  const std::vector<uint8_t> shades = mii::render(*grey, mii::choose_mapping(profile, *grey, {}).mapping);
  if (shades.size() != grey->rows * grey->cols) std::abort();
}

void show_slices(const mii::NiftiVolume& volume, mii::SlicePlane plane) {
  const size_t last = volume.slices(plane) - 1;
  size_t number = static_cast<size_t>(plane);
  for (const size_t index : {size_t{0}, last / 2, last})
    for (const size_t time : {size_t{0}, volume.times() - 1})
      show(volume.slice(plane, index, time), some_profile(number++));
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Random random(seed);
  if (below(random, 16) == 0) return LLVMFuzzerMutate(data, size, max_size);
  Data file(data, data + size);
  bool gzip = is_gzip(file);
  if (gzip) file = unwrapped(file);
  for (size_t i = below(random, 4) + 1; i > 0; --i) change_plain(file, random);
  if (below(random, 16) == 0) gzip = !gzip;
  if (gzip) file = wrapped(file);
  const size_t new_size = std::min(file.size(), max_size);
  std::copy_n(file.begin(), new_size, data);
  return new_size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mii::SlicePlane;
  const auto bytes = std::as_bytes(std::span(data, size));
  const mii::NiftiLimits limits{
      .max_volume_bytes = 1 << 20, .max_extension_bytes = 1 << 16, .max_slice_pixels = 1 << 16};
  try {
    const mii::NiftiVolume volume = mii::NiftiVolume::open(bytes, limits);
    for (const SlicePlane plane : {SlicePlane::axial, SlicePlane::coronal, SlicePlane::sagittal})
      show_slices(volume, plane);
  } catch (const mii::Error& error) {
    if (error.code() == mii::ErrorCode::internal) std::abort();
  }
  return 0;
}
