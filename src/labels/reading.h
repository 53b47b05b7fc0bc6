#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/json_writer.h"
#include "labels/catalogue.h"

namespace mii::labels {

/// By what labels are scored.
struct Reading {
  std::vector<std::string> prompts;   ///< of each label: its English prompt, or the label itself
  std::vector<std::string> warnings;  ///< sentences about labels in another script that are not understood
};

/// Understands labels through the catalogue: a name in another language than English, or several that name
/// different kinds of things ("胸部 X光 肺炎", "胸部X光"), is scored by its English prompt. A label that can
/// be read as English stays as it is, and so does one that the catalogue does not know or that means several
/// things.
Reading read_labels(const Catalogue& catalogue, std::span<const std::string> labels);

/// Writes members of an object: "prompts", {label: prompt} of the labels that are scored as something else,
/// and "warnings"; each only where there are any.
void write_reading(JsonWriter& json, std::span<const std::string> labels, const Reading& reading);

}  // namespace mii::labels
