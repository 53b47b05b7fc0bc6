#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/validation.h"
#include "serve/work.h"

namespace mii::serve {

class Api;

/// What answers one method of one path; it also describes itself in the OpenAPI document.
struct Route {
  std::string_view method;
  /// Its pattern: "/collections/{name}/search"; see Router.
  std::string_view path;
  std::string_view summary;
  bool computes = false;  ///< needs the model; its handler runs on a worker
  bool needs_key = false;
  bool writes = false;         ///< the key must have that scope
  bool for_operators = false;  ///< probes and metrics: no rate bounds them
  bool documented = true;
  std::span<const Field> query;      ///< parameters of the query
  std::span<const Field> fields;     ///< of the JSON body
  bool takes_files = false;          ///< multipart/form-data, and an image as the whole body
  std::string_view response_schema;  ///< JSON schema of a 200 answer; empty: content_type tells
  std::string_view content_type = "application/json";
  std::function<Outcome(Request& request)> handle;
  const Api* api = nullptr;  ///< whose route it is; set by the Router
};

/// Routes that belong together, and the words that their clients expect for errors.
class Api {
 public:
  virtual ~Api() = default;

  /// Their handlers may refer to this object.
  virtual std::vector<Route> routes() const = 0;

  /// Answers to paths below it that are no routes are this API's too.
  virtual std::string_view prefix() const { return "/"; }

  /// Every error of its routes, wherever it arises. By default in FastAPI's words.
  virtual Response error(int status, const std::string& message) const {
    return detail_error(status, message);
  }

  /// The errors' schema, by its name in the OpenAPI document.
  virtual const char* error_schema() const { return "Error"; }
};

}  // namespace mii::serve
