#include <string>

#include "image/medical_codec.h"

namespace mii {
namespace {

const char* name_of(SlicePlane plane) {
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

}  // namespace

NiftiLimits nifti_limits(const DecodeLimits& limits) {
  return {.max_volume_bytes = limits.max_volume_bytes, .max_slice_pixels = limits.max_pixels};
}

void paint(const NiftiVolume& volume, const DecodeOptions& options, Canvas& canvas) {
  const size_t slices = volume.slices(options.plane);
  const size_t index = options.frame.value_or(slices / 2);
  Provenance& provenance = canvas.provenance;
  provenance.format = "NIfTI-" + std::to_string(volume.info().version);
  provenance.plane = name_of(options.plane);
  provenance.frame = index;
  provenance.frames = slices * volume.times();
  provenance.rescale = {volume.info().slope, volume.info().intercept};
  paint_frame(volume.slice(options.plane, index % slices, index / slices), {}, options, canvas);
}

void decode_nifti(Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  paint(NiftiVolume::open(bytes, nifti_limits(options.limits)), options, canvas);
}

}  // namespace mii
