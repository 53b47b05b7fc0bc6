#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/inflate.h"
#include "mii/provenance.h"

#include "medical/frame.h"
#include "medical/nifti_header.h"
#include "medical/nifti_voxels.h"

namespace mii {

/// What a NIfTI file is, for people and for provenance. Holds nothing that identifies a patient.
struct NiftiInfo {
  int version = 1;                               ///< 1 or 2
  bool compressed = false;                       ///< by gzip
  std::endian byte_order = std::endian::little;  ///< of the file
  std::vector<uint64_t> dims;                    ///< as stored: i, j, k, time, ...; 1 to 7 of them
  std::string datatype;                          ///< "INT16", "FLOAT32", "RGB24", ...
  double slope = 1;                              ///< real value = slope * stored + intercept
  double intercept = 0;
  std::array<double, 3> spacing_mm = {1, 1, 1};  ///< along right-left, anterior-posterior, superior-inferior
  std::string orientation;         ///< where i, j and k lead: "RAS", "LPS", ...; of a planar file "stored"
  bool orientation_known = false;  ///< the header has a usable sform or qform
  std::string space_units;         ///< of the header: "mm", ...; "unknown" is taken for mm
  std::string time_units;          ///< "s", ...
};

/// A volume of a single-file NIfTI-1 or -2 (.nii, .nii.gz), of either byte order, cut into slices in the
/// radiological convention:
///
///   plane     left of the image   top        first to last slice
///   axial     patient's right       anterior   inferior to superior
///   coronal   patient's right       superior   posterior to anterior
///   sagittal  anterior              superior   right to left
///
/// Directions come from the sform if its code is above 0, else from the qform, else from the voxel size
/// alone, which says i leads right, j anterior and k superior (nifti1.h, methods 3, 2, 1). A form that is
/// degenerate or not finite is ignored. An oblique volume is cut along its voxel axes, each under the name of
/// the direction that it is closest to, as nibabel's as_closest_canonical assigns them: nothing is resampled.
///
/// A file of one or two dimensions has no directions: it has one slice, the stored plane with j = 0 on top
/// and i = 0 on the left, in whichever plane it is asked for. Dimensions beyond the fourth are counted as
/// times, the fourth fastest.
///
/// Move-only. Threads: const functions may run at the same time.
class NiftiVolume {
 public:
  /// bytes: the whole file; must outlive the volume, which reads voxels of an uncompressed file from there.
  /// Compressed ones are inflated at once, at most limits.max_volume_bytes of them. What follows the voxels
  /// is ignored. Throws Error{invalid_image} for a damaged file, a .hdr/.img pair, ANALYZE or CIFTI-2;
  /// Error{image_too_large} beyond the limits.
  static NiftiVolume open(std::span<const std::byte> bytes, const NiftiLimits& limits = {});

  const NiftiInfo& info() const { return info_; }
  /// How many slices there are along a plane; at least 1.
  size_t slices(SlicePlane plane) const;
  /// How many volumes follow one another; at least 1.
  size_t times() const { return times_; }

  /// One slice. Voxels of RGB24 and RGBA32 give a ColourFrame, without alpha; the others a GreyFrame.
  /// Integers of up to 16 bits, INT32 and BINARY are kept as integers with the file's slope and intercept;
  /// other types come as scaled reals, complex ones as magnitudes (both parts are scaled before, as nifti1.h
  /// demands). FLOAT128 is read as IEEE 754 binary128 and rounded to double. BINARY voxels are taken from the
  /// lowest bit of each byte up, without padding; the standard leaves that open. Throws
  /// Error{invalid_argument} for an index or time beyond the end, Error{image_too_large} beyond
  /// limits.max_slice_pixels.
  Frame slice(SlicePlane plane, size_t index, size_t time = 0) const;

 private:
  /// A voxel axis, and whether it runs against its direction.
  struct Direction {
    size_t axis = 0;
    bool reversed = false;
  };

  NiftiVolume(const NiftiHeader& header, const NiftiLimits& limits, HeapBytes owned,
              std::span<const std::byte> voxels);

  bool planar() const { return header_.dimensions <= 2; }
  void find_directions();
  void describe(bool compressed);
  VoxelCut cut_of(SlicePlane plane, size_t index, size_t time) const;
  VoxelCut stored_plane() const;

  NiftiHeader header_;
  uint64_t max_slice_pixels_;
  HeapBytes owned_;                    ///< of a compressed file
  std::span<const std::byte> voxels_;  ///< in owned_ or in the caller's bytes
  size_t times_ = 1;
  std::array<size_t, 3> strides_ = {1, 1, 1};  ///< of i, j, k, in voxels
  std::array<Direction, 3> directions_;        ///< to the patient's right, anterior, superior
  NiftiInfo info_;
};

/// Whether the bytes begin as NIfTI-1 or -2 does, plain or compressed by gzip; .hdr halves of pairs count
/// too, so that open() can say what is wrong with them. Never throws for bad bytes.
bool looks_like_nifti(std::span<const std::byte> bytes);

}  // namespace mii
