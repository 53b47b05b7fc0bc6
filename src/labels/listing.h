#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/json_writer.h"
#include "labels/catalogue.h"

namespace mii::labels {

/// Which entries are wanted; all of them by default.
struct Query {
  std::string modality;         ///< its name in any language; empty: any
  std::string language = "en";  ///< of the answer
  std::string search;           ///< words, each of which must be in a name of the entry, in any language
};

struct Listing {
  std::vector<const Entry*> entries;  ///< in the catalogue's order; borrowed from it
  size_t language = 0;
};

/// Throws Error{invalid_argument} for a modality or language that the catalogue does not have, and for more
/// words than anybody types.
Listing list(const Catalogue& catalogue, const Query& query);

/// {"label": ..., "prompt": ..., "modality": [names], "body_part": [names], "view": ..., "finding": ...}
void write_entry(JsonWriter& json, const Catalogue& catalogue, const Entry& entry, size_t language);

}  // namespace mii::labels
