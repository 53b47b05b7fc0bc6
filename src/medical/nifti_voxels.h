#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "medical/frame.h"
#include "medical/nifti_header.h"

namespace mii {

/// Where an image lies among the voxels: pixel [r, c] is voxel first + r * down + c * right, all of them
/// inside of the volume.
struct VoxelCut {
  size_t rows = 0, cols = 0;
  int64_t first = 0, down = 0, right = 0;
};

/// The values of a cut. voxels: header.voxel_bytes of them. How each type is read is said at
/// NiftiVolume::slice. Precondition: the header's type is not a colour.
GreyFrame read_grey(const VoxelCut& cut, std::span<const std::byte> voxels, const NiftiHeader& header);

/// The colours of a cut. Precondition: the header's type is RGB24 or RGBA32.
ColourFrame read_colour(const VoxelCut& cut, std::span<const std::byte> voxels, const NiftiHeader& header);

}  // namespace mii
