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
  /// field -> value -> broader values that are then true too
  std::map<std::string, std::map<std::string, std::vector<std::string>>> broader;
  /// field -> values that no image has: distractors
  std::map<std::string, std::vector<std::string>> distractors;

  /// Throws Error{invalid_argument}, with the line, for a malformed file.
  static CaptionRules read(const std::filesystem::path& file);
};

/// What is known about an image: a value for each of the rules' fields, empty where unknown.
using LabelSet = std::vector<std::string>;

/// A concept and the captions that express it, the plainest first.
struct ComposedConcept {
  Concept about;
  std::vector<std::string> captions;
};

struct Composition {
  std::vector<ComposedConcept> concepts;
  std::vector<Truth> truth;  ///< [label sets, concepts]
};

/// Every concept that a template makes of a label set, with at most max_captions captions each (drawn
/// evenly), and which concept is true of which label set. The truth is unknown where a field that the concept
/// mentions is empty and might hold its value, or where the image's value is broader.
Composition compose(const CaptionRules& rules, const std::vector<LabelSet>& label_sets, size_t max_captions);

}  // namespace mii
