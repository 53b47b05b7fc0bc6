#include <algorithm>

#include "image/medical_codec.h"

namespace mii {
namespace {

void paint_grey(const GreyFrame& frame, const DisplayHints& hints, const DecodeOptions& options,
                Canvas& canvas) {
  const ChosenMapping chosen = choose_mapping(options.profile, frame, hints);
  const std::vector<uint8_t> grey = render(frame, chosen.mapping);
  uint8_t* out = canvas.start(frame.cols, frame.rows);
  for (size_t i = 0; i < grey.size(); ++i) out[3 * i] = out[3 * i + 1] = out[3 * i + 2] = grey[i];

  Provenance& provenance = canvas.provenance;
  provenance.applied = chosen.applied;
  provenance.inverted = frame.inverted;
  if (const auto* window = std::get_if<VoiWindow>(&chosen.mapping)) provenance.window = *window;
  if (const auto* range = std::get_if<ValueRange>(&chosen.mapping))
    provenance.range = {range->low, range->high};
}

}  // namespace

void paint_frame(const Frame& frame, const DisplayHints& hints, const DecodeOptions& options,
                 Canvas& canvas) {
  canvas.provenance.profile = options.profile.name;
  if (const auto* grey = std::get_if<GreyFrame>(&frame)) {
    DisplayHints all = hints;
    if (options.series_range) all.series_range = {options.series_range->first, options.series_range->second};
    paint_grey(*grey, all, options, canvas);
  } else {
    const auto& colour = std::get<ColourFrame>(frame);
    std::ranges::copy(colour.rgb, canvas.start(colour.cols, colour.rows));
    canvas.provenance.applied = "stored";
  }
}

DicomLimits dicom_limits(const DecodeLimits& limits) { return {.max_pixels = limits.max_pixels}; }

MeasuredFrame measured(const DicomFile& file, const DecodeOptions& options) {
  const DicomInfo& info = file.info();
  const size_t index = options.frame.value_or(info.frames / 2);
  const DicomFrameInfo frame = file.frame_info(index);
  MeasuredFrame result{file.frame(index), display_hints(file, frame), {}};
  Provenance& provenance = result.provenance;
  provenance.format = to_string(ImageFormat::dicom);
  provenance.transfer_syntax = info.transfer_syntax;
  provenance.photometric_interpretation = info.photometric_interpretation;
  provenance.modality = info.modality;
  provenance.body_part = info.body_part;
  provenance.frame = index;
  provenance.frames = info.frames;
  provenance.rescale = frame.rescale;
  if (info.burned_in_annotation)
    provenance.warnings.push_back("burned-in annotation: the pixels may name the patient");
  return result;
}

}  // namespace mii
