// Opens a volume and cuts its first, middle and last slice in each plane, of its first and last time.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "mii/error.h"

#include "medical/nifti.h"

namespace {

size_t pixels_of(const mii::GreyFrame& frame) { return frame.integers.size() + frame.reals.size(); }
size_t pixels_of(const mii::ColourFrame& frame) { return frame.rgb.size() / 3; }

void cut(const mii::NiftiVolume& volume, mii::SlicePlane plane, size_t time) {
  const size_t last = volume.slices(plane) - 1;
  for (const size_t index : {size_t{0}, last / 2, last}) {
    const bool whole =
        std::visit([](const auto& frame) { return pixels_of(frame) == frame.rows * frame.cols; },
                   volume.slice(plane, index, time));
    if (!whole) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mii::SlicePlane;
  const auto bytes = std::as_bytes(std::span(data, size));
  const mii::NiftiLimits limits{
      .max_volume_bytes = 1 << 22, .max_extension_bytes = 1 << 16, .max_slice_pixels = 1 << 18};
  const bool recognised = mii::looks_like_nifti(bytes);
  try {
    const mii::NiftiVolume volume = mii::NiftiVolume::open(bytes, limits);
    if (!recognised) std::abort();
    for (const SlicePlane plane : {SlicePlane::axial, SlicePlane::coronal, SlicePlane::sagittal}) {
      cut(volume, plane, 0);
      cut(volume, plane, volume.times() - 1);
    }
  } catch (const mii::Error& error) {
    if (error.code() == mii::ErrorCode::internal) std::abort();
  }
  return 0;
}
