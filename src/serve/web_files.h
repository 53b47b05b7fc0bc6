#pragma once

#include <span>
#include <string_view>

namespace mii::serve {

/// A file of the folder web/, as it was when the program was built.
struct WebFile {
  std::string_view name;
  std::string_view content_type;
  std::string_view etag;  ///< with its quotes
  std::string_view bytes;
};

std::span<const WebFile> web_files();

}  // namespace mii::serve
