#pragma once

#include <functional>
#include <utility>

#include "serve/service.h"

namespace mii::serve {

/// Calls handle(collection, request) for the collection that the path names; 404 when there is none. Routes
/// with it run on workers: they read the disk.
template <typename Handle>
std::function<Outcome(Request&)> on_collection(Service& service, Handle handle) {
  return [&service, handle = std::move(handle)](Request& request) -> Outcome {
    const ServedCollections::Shared collection = service.collections()->find(request.parameter("name"));
    if (!collection) return detail_error(404, "Not Found");
    return handle(collection, request);
  };
}

}  // namespace mii::serve
