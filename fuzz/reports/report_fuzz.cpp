// A report of any bytes: its sentences, findings and what is taken out, and a draft of three of its kind.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "reports/draft.h"
#include "reports/scrub.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<mii::reports::SourceReport> reports;
  for (const size_t begin : {size_t{0}, size / 3, size / 2})
    reports.push_back({"r", 0.5f, std::string(text.substr(begin))});
  const mii::reports::Draft draft = draft_of(reports, {.least_support = 0.3});
  to_json(draft);
  to_text(draft);
  mii::reports::scrub(text);
  mii::reports::findings_of_headings(text);
  return 0;
}
