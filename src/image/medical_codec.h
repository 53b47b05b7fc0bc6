#pragma once

// What the decoders of measured pictures share with ImageFile, which keeps their files open.

#include "image/codec.h"
#include "medical/dicom_file.h"
#include "medical/nifti.h"
#include "medical/present.h"

namespace mii {

DicomLimits dicom_limits(const DecodeLimits& limits);
NiftiLimits nifti_limits(const DecodeLimits& limits);

void paint(const DicomFile& file, const DecodeOptions& options, Canvas& canvas);
void paint(const NiftiVolume& volume, const DecodeOptions& options, Canvas& canvas);

/// Paints a frame by the options' profile and records how.
void paint_frame(const Frame& frame, const DisplayHints& hints, const DecodeOptions& options, Canvas& canvas);

}  // namespace mii
