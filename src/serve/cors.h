#pragma once

#include <optional>

#include "serve/http.h"
#include "serve/options.h"

namespace mii::serve {

/// The answer to a browser's question whether another origin may call; nothing when it is no such question or
/// no origin is allowed.
std::optional<Response> cors_preflight(const Request& request, const ServeOptions& options);

/// The additional headers of an answer to an allowed origin.
Headers cors_headers(const Request& request, const ServeOptions& options);

}  // namespace mii::serve
