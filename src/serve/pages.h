#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "serve/http.h"

namespace mii::serve {

/// The pages that show the OpenAPI document, without the internet. Their scripts come from a folder that
/// scripts/fetch-docs-assets fills; without it the pages say so.
class Pages {
 public:
  explicit Pages(const std::filesystem::path& folder);

  Response docs() const;
  Response redoc() const;
  Response asset(const std::string& name) const;

 private:
  bool has(const std::string& name) const { return assets_.contains(name); }

  std::map<std::string, std::string> assets_;  // by file name
};

}  // namespace mii::serve
