#include <cstdlib>

#include "mii/error.h"
#include "search/filter.h"

// The text of a filter that was parsed is parsed to the same, and it can be evaluated.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mii::search;
  Filter filter;
  try {
    filter = parse_filter({reinterpret_cast<const char*>(data), size});
  } catch (const mii::Error&) {
    return 0;
  }
  const std::string text = to_text(filter);
  constexpr size_t kLongest = 1 << 16;  // quotes and parentheses make it longer, perhaps beyond what is taken
  if (text.size() <= kLongest) {
    try {
      if (to_text(parse_filter(text)) != text) std::abort();
    } catch (const mii::Error& error) {  // parentheses that it has more
      if (std::string_view(error.what()).find("levels") == std::string_view::npos) std::abort();
    }
  }
  const Column column{{0, 1, 2, 3}, {"40", "CT", "chest_x\\%"}};
  rows_that_meet(filter, column.codes.size(), [&](const std::string&) -> const Column& { return column; });
  return 0;
}
