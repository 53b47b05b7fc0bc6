#pragma once

#include <span>
#include <string>

#include "serve/api.h"
#include "serve/options.h"

namespace mii::serve {

/// The OpenAPI 3.1 document of these routes. with_keys: requests need a bearer key.
std::string openapi_document(std::span<const Route> routes, const ServeOptions& options, bool with_keys);

}  // namespace mii::serve
