#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "dataset/pack.h"

namespace mii {

/// How captions are composed from the fields of an image; a YAML file (training/captions.yaml).
struct CaptionRules {
  std::vector<std::string> fields;
  std::vector<std::string> templates;  ///< "{modality} of the {anatomy}"
  /// field -> value -> other words for it
  std::map<std::string, std::map<std::string, std::vector<std::string>>> synonyms;
  /// field -> value -> values that are true as well
  std::map<std::string, std::map<std::string, std::vector<std::string>>> broader;
  /// field -> values that no image has
  std::map<std::string, std::vector<std::string>> distractors;

  /// Throws Error{invalid_argument} with the line for a file that is not as it should be.
  static CaptionRules read(const std::filesystem::path& file);
};

/// What is known of an image: a value for each of the rules' fields, empty where nothing is known.
using LabelSet = std::vector<std::string>;

/// A concept and the captions that say it, the plainest first.
struct ComposedConcept {
  Concept about;
  std::vector<std::string> captions;
};

struct Composition {
  std::vector<ComposedConcept> concepts;
  std::vector<Truth> truth;  ///< [label sets, concepts]
};

/// Every concept that a template makes of a label set, at most max_captions (drawn evenly) for each, and what
/// is true of what: a concept is unknown where a field that it speaks of is empty and might hold its value,
/// or where the image's value is broader.
Composition compose(const CaptionRules& rules, const std::vector<LabelSet>& label_sets, size_t max_captions);

}  // namespace mii
