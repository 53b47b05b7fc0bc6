#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// The OpenAPI document, and the pages that show it without the internet. Their scripts come from a folder
/// that scripts/fetch-docs-assets fills; without it the pages say so.
class Pages final : public Api {
 public:
  Pages(Service& service, const std::filesystem::path& folder);

  std::vector<Route> routes() const override;

 private:
  Response docs() const;
  Response redoc() const;
  Response asset(std::string_view name) const;
  bool has(std::string_view name) const { return assets_.contains(name); }

  Service& service_;
  std::map<std::string, std::string, std::less<>> assets_;  // by file name
};

}  // namespace mii::serve
