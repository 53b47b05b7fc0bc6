#pragma once

// How measured frames become images.

#include "image/codec.h"
#include "image/frame_source.h"

namespace mii {

DicomLimits dicom_limits(const DecodeLimits& limits);
NiftiLimits nifti_limits(const DecodeLimits& limits);

MeasuredFrame measured(const DicomFile& file, const DecodeOptions& options);
MeasuredFrame measured(const NiftiVolume& volume, const DecodeOptions& options);

/// Paints a frame by the options' profile and records how.
void paint_frame(const Frame& frame, const DisplayHints& hints, const DecodeOptions& options, Canvas& canvas);

}  // namespace mii
