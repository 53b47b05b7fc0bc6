#pragma once

#include "serve/service.h"

namespace mii::serve {

/// Counts an answered request and logs it: which route, status, times and sizes, never what was in it.
void note_request(Service& service, const Request& request, const Route* route, const Response& response,
                  Seconds seconds);

}  // namespace mii::serve
