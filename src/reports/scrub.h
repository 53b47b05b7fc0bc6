#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace mii::reports {

/// What in a text may tell who a patient is.
enum class Personal { date, time, number, name, address };
constexpr size_t kPersonalKinds = 5;
std::string_view to_string(Personal kind);

struct Scrubbed {
  std::string text;                            ///< with XXXX in place of what was found
  std::array<size_t, kPersonalKinds> found{};  ///< how often, by Personal
  bool any() const;
};

/// Finds by patterns, nothing that was learnt: dates ("12/05/2019", "March 3rd", "in 2017"), times ("10:45
/// am"), numbers of five digits or more and codes of letters and at least four digits (record, accession and
/// telephone numbers), names behind a title or "signed by" ("Dr. Miller"), addresses of mail and of the web.
/// Sizes ("3.2 cm") and vertebrae ("T12") stay. A name without a title is not found: rules cannot promise it.
Scrubbed scrub(std::string_view text);

}  // namespace mii::reports
