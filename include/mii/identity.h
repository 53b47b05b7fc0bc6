#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mii/export.h"

namespace mii {

/// By what an embedding was made. Vectors of different identities are not to be compared with each other.
struct MII_API Identity {
  std::string weights;        ///< SHA-256 of the weights' file, 64 hexadecimal digits, as the others
  std::string config;         ///< of config.yaml
  std::string tokenizer;      ///< of the SHA-256 of vocab.json and that of merges.txt, one after the other
  std::string precision;      ///< "f32", "f16", "bf16", "int8"
  std::string preprocessing;  ///< how files became images: "profile auto"; empty for texts and ready images
  std::string version;        ///< of this program

  bool operator==(const Identity&) const = default;

  /// A JSON object with these members.
  std::string json() const;
  /// Throws Error{invalid_argument} for a text that json() does not write.
  static Identity parse(std::string_view json);

  /// 16 hexadecimal digits that tell identities apart.
  std::string fingerprint() const;

  /// What differs, a sentence for each part: "precision: bf16, expected f32".
  std::vector<std::string> differences_from(const Identity& expected) const;
};

}  // namespace mii
