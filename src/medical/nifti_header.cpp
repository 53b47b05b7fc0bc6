// nifticlib gives the header's layout, byte swapping, sizes and names of types and units, and the
// quaternion's matrix. Its nifti_convert_n1hdr2nim and nifti_convert_n2hdr2nim are not used: they print
// whatever they refuse, refuse binary voxels, turn numbers that are not finite into 0, let dimensions
// overflow, and convert vox_offset without a range check. What is called here is silent at nifticlib's
// default debug level, never exits and writes no global.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>

#include <nifti/nifti2_io.h>

#include "core/bytes.h"
#include "mii/error.h"

#include "medical/nifti_header.h"

namespace mii {
namespace {

// Unit vectors along the voxel axes span less than this: no orientation can be read from them. Coordinates
// are stored in 24 bits at the least, so a true value of 0 may come out as a few 2^-24.
constexpr double kFlat = 1e-6;

// A header of either version, in the machine's byte order.
struct Raw {
  int version = 1;
  std::endian byte_order = std::endian::native;
  nifti_2_header fields{};  // vox_offset is below
  double vox_offset = 0;    // NIfTI-1 stores a float
};

[[noreturn]] void throw_invalid(const std::string& what, const std::string& expected,
                                const std::string& found) {
  throw Error(ErrorCode::invalid_image, "NIfTI: " + what + ": expected " + expected + ", found " + found);
}

bool has_at(std::span<const std::byte> head, size_t offset, const char (&magic)[4]) {
  return head.size() >= offset + 4 && std::memcmp(head.data() + offset, magic, 4) == 0;
}

constexpr size_t kMagicAt1 = offsetof(nifti_1_header, magic);
constexpr size_t kMagicAt2 = offsetof(nifti_2_header, magic);

std::endian other(std::endian order) {
  return order == std::endian::little ? std::endian::big : std::endian::little;
}

int32_t swapped(int32_t value) { return static_cast<int32_t>(swap_bytes(static_cast<uint32_t>(value))); }

bool is_header_size(std::span<const std::byte> head, int32_t size) {
  int32_t stored = 0;
  if (head.size() < sizeof stored) return false;
  std::memcpy(&stored, head.data(), sizeof stored);
  return stored == size || swapped(stored) == size;
}

[[noreturn]] void refuse_without_magic(std::span<const std::byte> head) {
  if (has_at(head, kMagicAt1, "ni1") || has_at(head, kMagicAt2, "ni2"))
    throw_invalid("a header whose voxels are in another file", "a single .nii file",
                  "the .hdr half of a .hdr/.img pair");
  if (is_header_size(head, kNifti1HeaderBytes))
    throw_invalid("no NIfTI magic", "a single .nii file",
                  "an ANALYZE 7.5 header, whose voxels are in another file");
  throw_invalid("magic", "\"n+1\" or \"n+2\"", "neither");
}

// Copies the header and brings it into the machine's byte order.
template <class Fields>
Fields native_fields(std::span<const std::byte> head, Raw& raw) {
  if (head.size() < sizeof(Fields))
    throw_invalid("the header ends early", std::to_string(sizeof(Fields)) + " bytes",
                  std::to_string(head.size()));
  Fields fields;
  std::memcpy(&fields, head.data(), sizeof fields);
  constexpr int32_t size = sizeof(Fields);
  if (fields.sizeof_hdr != size && swapped(fields.sizeof_hdr) != size)
    throw_invalid("sizeof_hdr", std::to_string(size), std::to_string(fields.sizeof_hdr));
  if (fields.sizeof_hdr != size) {
    swap_nifti_header(&fields, raw.version);
    raw.byte_order = other(std::endian::native);
  }
  return fields;
}

// Copies the fields that are used; the free texts are left out.
template <class Fields>
void widen(const Fields& from, nifti_2_header& to) {
  to.datatype = from.datatype;
  to.bitpix = from.bitpix;
  for (size_t i = 0; i < 8; ++i) {
    to.dim[i] = from.dim[i];
    to.pixdim[i] = static_cast<double>(from.pixdim[i]);
  }
  to.scl_slope = static_cast<double>(from.scl_slope);
  to.scl_inter = static_cast<double>(from.scl_inter);
  to.qform_code = from.qform_code;
  to.sform_code = from.sform_code;
  to.quatern_b = static_cast<double>(from.quatern_b);
  to.quatern_c = static_cast<double>(from.quatern_c);
  to.quatern_d = static_cast<double>(from.quatern_d);
  for (size_t i = 0; i < 4; ++i) {
    to.srow_x[i] = static_cast<double>(from.srow_x[i]);
    to.srow_y[i] = static_cast<double>(from.srow_y[i]);
    to.srow_z[i] = static_cast<double>(from.srow_z[i]);
  }
  to.xyzt_units = from.xyzt_units & 0x3F;  // the rest is reserved; a char may be signed
  to.intent_code = from.intent_code;
}

Raw read_version1(std::span<const std::byte> head) {
  Raw raw{.version = 1};
  const auto fields = native_fields<nifti_1_header>(head, raw);
  widen(fields, raw.fields);
  raw.vox_offset = static_cast<double>(fields.vox_offset);
  return raw;
}

// The rest of the magic shows whether line ends were converted on the way, which damages the voxels as well.
// Some programs leave it 0.
void check_line_ends(const nifti_2_header& fields) {
  char found[4], zeros[4] = {};
  for (size_t i = 0; i < 4; ++i) found[i] = fields.magic[4 + i];
  if (std::memcmp(found, "\r\n\x1A\n", 4) != 0 && std::memcmp(found, zeros, 4) != 0)
    throw_invalid("the magic's line ends", "CR LF SUB LF", "others: the file was transferred as a text");
}

Raw read_version2(std::span<const std::byte> head) {
  Raw raw{.version = 2};
  const auto fields = native_fields<nifti_2_header>(head, raw);
  check_line_ends(fields);
  widen(fields, raw.fields);
  // Rounded beyond 2^53, where every limit has been passed.
  raw.vox_offset = static_cast<double>(fields.vox_offset);
  return raw;
}

Raw read_raw(std::span<const std::byte> head) {
  if (has_at(head, kMagicAt2, "n+2")) return read_version2(head);
  if (has_at(head, kMagicAt1, "n+1")) return read_version1(head);
  refuse_without_magic(head);
}

uint64_t bits_of(int datatype) {
  if (datatype == DT_BINARY) return 1;
  int bytes = 0, swap_size = 0;
  nifti_datatype_sizes(datatype, &bytes, &swap_size);
  return static_cast<uint64_t>(bytes) * 8;
}

void read_datatype(const nifti_2_header& raw, NiftiHeader& header) {
  header.datatype = raw.datatype;
  header.bits_per_voxel = bits_of(header.datatype);
  if (header.bits_per_voxel == 0)
    throw_invalid("datatype", "a type that NIfTI defines", std::to_string(header.datatype));
  if (raw.bitpix < 0 || static_cast<uint64_t>(raw.bitpix) != header.bits_per_voxel)
    throw_invalid("bitpix of datatype " + nifti_datatype_name(header.datatype),
                  std::to_string(header.bits_per_voxel), std::to_string(raw.bitpix));
}

// CIFTI-2 puts matrices of brain connectivity into NIfTI-2 files: there is no image in them.
void check_intent(const nifti_2_header& raw) {
  if (raw.intent_code >= 3000 && raw.intent_code < 3100)
    throw_invalid("intent_code", "a volume", "a CIFTI-2 matrix, code " + std::to_string(raw.intent_code));
}

void read_dims(const nifti_2_header& raw, NiftiHeader& header) {
  if (raw.dim[0] < 1 || raw.dim[0] > 7)
    throw_invalid("dim[0], the number of dimensions,", "1 to 7", std::to_string(raw.dim[0]));
  header.dimensions = static_cast<int>(raw.dim[0]);
  for (size_t i = 0; i < static_cast<size_t>(header.dimensions); ++i) {
    const int64_t size = raw.dim[i + 1];
    if (size < 1)
      throw_invalid("dim[" + std::to_string(i + 1) + "]", "a positive size", std::to_string(size));
    header.dims[i] = static_cast<uint64_t>(size);
  }
}

// Voxels are counted only up to the limit, so that no product overflows.
void read_volume_size(const NiftiLimits& limits, NiftiHeader& header) {
  const uint64_t max_bytes = std::min<uint64_t>(limits.max_volume_bytes, uint64_t{1} << 56);
  const uint64_t max_voxels = max_bytes * 8 / header.bits_per_voxel;
  uint64_t voxels = 1;
  for (const uint64_t size : header.dims) {
    if (size > max_voxels / voxels)
      throw Error(ErrorCode::image_too_large, "NIfTI: the volume has more than " +
                                                  std::to_string(max_voxels) + " voxels of " +
                                                  std::to_string(header.bits_per_voxel) + " bits, at most " +
                                                  std::to_string(max_bytes) + " bytes are allowed");
    voxels *= size;
  }
  header.voxel_bytes = (voxels * header.bits_per_voxel + 7) / 8;
}

void read_voxel_offset(const Raw& raw, const NiftiLimits& limits, NiftiHeader& header) {
  // Four bytes after the header say whether extensions follow.
  const size_t least = (raw.version == 1 ? kNifti1HeaderBytes : kNifti2HeaderBytes) + 4;
  if (!(raw.vox_offset >= static_cast<double>(least)) || std::isinf(raw.vox_offset))
    throw_invalid("vox_offset", "at least " + std::to_string(least), std::to_string(raw.vox_offset));
  const uint64_t max_extension = std::min<uint64_t>(limits.max_extension_bytes, uint64_t{1} << 52);
  if (raw.vox_offset > static_cast<double>(least + max_extension))
    throw Error(ErrorCode::image_too_large, "NIfTI: vox_offset is " + std::to_string(raw.vox_offset) +
                                                ", at most " + std::to_string(max_extension) +
                                                " bytes of extensions are allowed");
  header.voxel_offset = static_cast<uint64_t>(raw.vox_offset);
}

// A slope that is 0 or not finite means: not scaled. A non-finite intercept with a valid slope is damage.
// Both as in nibabel's get_slope_inter. Scaling does not apply to colours.
void read_scaling(const nifti_2_header& raw, NiftiHeader& header) {
  if (raw.datatype == DT_RGB24 || raw.datatype == DT_RGBA32) return;
  if (raw.scl_slope == 0 || !std::isfinite(raw.scl_slope)) return;
  if (!std::isfinite(raw.scl_inter))
    throw_invalid("scl_inter", "a finite number", std::to_string(raw.scl_inter));
  header.slope = raw.scl_slope;
  header.intercept = raw.scl_inter;
}

// A size of 0 or none at all counts as 1, as in nifticlib; a sign means nothing.
double voxel_size(const nifti_2_header& raw, size_t axis) {
  const double size = std::abs(raw.pixdim[axis + 1]);
  return size == 0 || !std::isfinite(size) ? 1 : size;
}

VoxelAxes axes_from_size(const nifti_2_header& raw) {
  VoxelAxes axes{};
  for (size_t i = 0; i < 3; ++i) axes[i][i] = voxel_size(raw, i);
  return axes;
}

VoxelAxes axes_from_qform(const nifti_2_header& raw) {
  const double handedness = raw.pixdim[0] < 0 ? -1 : 1;
  const nifti_dmat44 matrix =
      nifti_quatern_to_dmat44(raw.quatern_b, raw.quatern_c, raw.quatern_d, 0, 0, 0, voxel_size(raw, 0),
                              voxel_size(raw, 1), voxel_size(raw, 2), handedness);
  VoxelAxes axes;
  for (size_t i = 0; i < 3; ++i) std::copy_n(matrix.m[i], 3, axes[i].begin());
  return axes;
}

VoxelAxes axes_from_sform(const nifti_2_header& raw) {
  VoxelAxes axes;
  for (size_t i = 0; i < 3; ++i) {
    axes[0][i] = raw.srow_x[i];
    axes[1][i] = raw.srow_y[i];
    axes[2][i] = raw.srow_z[i];
  }
  return axes;
}

// Whether the voxel axes are finite and span space.
bool spans_space(const VoxelAxes& axes) {
  const VoxelAxes unit = unit_axes(axes);
  return std::abs(nifti_dmat33_determ(std::bit_cast<nifti_dmat33>(unit))) > kFlat;  // not for NaN
}

// sform before qform before the voxel size alone; one that is flat or not finite is passed over.
void read_axes(const nifti_2_header& raw, NiftiHeader& header) {
  header.orientation_known = true;
  if (raw.sform_code > 0 && spans_space(header.axes = axes_from_sform(raw))) return;
  if (raw.qform_code > 0 && spans_space(header.axes = axes_from_qform(raw))) return;
  header.axes = axes_from_size(raw);
  header.orientation_known = false;
}

}  // namespace

bool has_nifti_magic(std::span<const std::byte> head) {
  return has_at(head, kMagicAt1, "n+1") || has_at(head, kMagicAt1, "ni1") || has_at(head, kMagicAt2, "n+2") ||
         has_at(head, kMagicAt2, "ni2");
}

NiftiHeader read_nifti_header(std::span<const std::byte> head, const NiftiLimits& limits) {
  const Raw raw = read_raw(head);
  NiftiHeader header{.version = raw.version, .byte_order = raw.byte_order};
  read_datatype(raw.fields, header);
  check_intent(raw.fields);
  read_dims(raw.fields, header);
  read_volume_size(limits, header);
  read_voxel_offset(raw, limits, header);
  read_scaling(raw.fields, header);
  read_axes(raw.fields, header);
  header.space_units = XYZT_TO_SPACE(raw.fields.xyzt_units);
  header.time_units = XYZT_TO_TIME(raw.fields.xyzt_units);
  return header;
}

VoxelAxes unit_axes(const VoxelAxes& axes) {
  VoxelAxes unit;
  for (size_t v = 0; v < 3; ++v) {
    const double length = std::hypot(axes[0][v], axes[1][v], axes[2][v]);
    for (size_t w = 0; w < 3; ++w) unit[w][v] = axes[w][v] / length;
  }
  return unit;
}

std::string nifti_datatype_name(int datatype) { return nifti_datatype_string(datatype); }

std::string nifti_unit_name(int units) {
  const std::string name = nifti_units_string(units);
  return name == "Unknown" ? "unknown" : name;
}

}  // namespace mii
