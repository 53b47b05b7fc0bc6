#include <string>

#include "image/medical_codec.h"

namespace mii {

const char* to_string(SlicePlane plane) {
  switch (plane) {
    case SlicePlane::axial:
      return "axial";
    case SlicePlane::coronal:
      return "coronal";
    case SlicePlane::sagittal:
      break;
  }
  return "sagittal";
}

NiftiLimits nifti_limits(const DecodeLimits& limits) {
  return {.max_volume_bytes = limits.max_volume_bytes, .max_slice_pixels = limits.max_pixels};
}

MeasuredFrame measured(const NiftiVolume& volume, const DecodeOptions& options) {
  const size_t slices = volume.slices(options.plane);
  const size_t index = options.frame.value_or(slices / 2);
  MeasuredFrame result{volume.slice(options.plane, index % slices, index / slices), {}, {}};
  Provenance& provenance = result.provenance;
  provenance.format = "NIfTI-" + std::to_string(volume.info().version);
  provenance.plane = to_string(options.plane);
  provenance.frame = index;
  provenance.frames = slices * volume.times();
  provenance.rescale = {volume.info().slope, volume.info().intercept};
  return result;
}

}  // namespace mii
