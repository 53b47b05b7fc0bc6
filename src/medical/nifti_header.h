#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mii {

/// What is refused before any memory is taken for it.
struct NiftiLimits {
  uint64_t max_volume_bytes = 2ull << 30;      ///< of all voxels of all times, inflated
  uint64_t max_extension_bytes = 64ull << 20;  ///< between the header and the voxels; they are skipped unread
  /// How many times larger than its file a compressed volume of more than 256 MiB may be. Deflate reaches
  /// 1032 times, scans stay below 20; what is beyond is empty, or a bomb.
  uint64_t max_inflation = 200;
  uint64_t max_slice_pixels = 100'000'000;  ///< rows * columns of a slice that is asked for
};

/// axes[world][voxel]: how far one step along voxel axis i, j or k leads to the patient's right, anterior and
/// superior.
using VoxelAxes = std::array<std::array<double, 3>, 3>;

/// What the checked header says. Its free texts are never read: they may identify a patient.
struct NiftiHeader {
  int version = 1;  ///< 1 or 2
  std::endian byte_order = std::endian::little;
  int datatype = 0;                                      ///< DT_* of nifti1.h
  uint64_t bits_per_voxel = 0;                           ///< 1 for binary
  int dimensions = 1;                                    ///< 1 to 7
  std::array<uint64_t, 7> dims = {1, 1, 1, 1, 1, 1, 1};  ///< i, j, k, time, ...; 1 beyond the last
  uint64_t voxel_offset = 0;                             ///< of the first voxel in the file
  uint64_t voxel_bytes = 0;                              ///< of all voxels together
  double slope = 1;                                      ///< real value = slope * stored + intercept
  double intercept = 0;
  int space_units = 0;  ///< NIFTI_UNITS_* of nifti1.h
  int time_units = 0;

  VoxelAxes axes = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};  ///< in space_units; not singular
  bool orientation_known = false;  ///< axes come from sform or qform, not from the voxel size alone
};

constexpr size_t kNifti1HeaderBytes = 348;
constexpr size_t kNifti2HeaderBytes = 540;

/// Whether the magic is that of NIfTI-1 or -2, of a single file or of a header that belongs to an .img file.
bool has_nifti_magic(std::span<const std::byte> head);

/// Reads and checks a header. head: the file's first kNifti2HeaderBytes bytes, fewer if the file is shorter.
/// Throws Error{invalid_image} for what is no single-file NIfTI or contradicts itself, Error{image_too_large}
/// beyond the limits. Source: nifti1.h and nifti2.h of the NIfTI DFWG.
NiftiHeader read_nifti_header(std::span<const std::byte> head, const NiftiLimits& limits);

/// The same directions, each of length 1; NaN for what has no finite length.
VoxelAxes unit_axes(const VoxelAxes& axes);

/// "INT16", "RGB24", ...
std::string nifti_datatype_name(int datatype);
/// "mm", "s", ...; "unknown".
std::string nifti_unit_name(int units);

}  // namespace mii
