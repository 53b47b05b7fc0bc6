#include "pipeline/identity.h"

#include "pipeline/provenance.h"

namespace mii::pipeline {

std::string preprocessing_text(const DecodeOptions& options) {
  std::string text = "profile " + options.profile.name;
  if (options.plane != SlicePlane::axial) text += std::string("; plane ") + to_string(options.plane);
  if (options.frame) text += "; frame " + std::to_string(*options.frame + 1);
  if (options.grey16 == Grey16::high_byte) text += "; high byte of 16-bit grey";
  if (options.azure)
    text += "; to " + std::to_string(options.azure->side) + " pixels and JPEG of quality " +
            std::to_string(options.azure->jpeg_quality);
  return text;
}

}  // namespace mii::pipeline
