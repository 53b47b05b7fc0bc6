#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "serve/validation.h"
#include "serve/work.h"

namespace mii::serve {

class Service;

/// One line of the table that both routes requests and writes the OpenAPI document.
struct Route {
  std::string_view method;
  std::string_view path;
  std::string_view summary;
  bool computes = false;  ///< needs the model; its handler runs on a worker
  bool needs_key = false;
  bool for_operators = false;  ///< probes and metrics: no rate bounds them
  bool documented = true;
  ErrorStyle errors = ErrorStyle::detail;
  std::span<const Field> fields;     ///< of the JSON body
  bool takes_files = false;          ///< multipart/form-data, and a picture as the whole body
  std::string_view response_schema;  ///< JSON schema of a 200 answer; empty: content_type tells
  std::string_view content_type = "application/json";
  Outcome (*handle)(Request& request, Service& service) = nullptr;
};

std::span<const Route> routes();

}  // namespace mii::serve
