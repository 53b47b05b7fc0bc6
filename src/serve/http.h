#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json_writer.h"
#include "serve/timing.h"

namespace mii::serve {

using Headers = std::vector<std::pair<std::string, std::string>>;
using PathParameters = std::vector<std::pair<std::string, std::string>>;

/// One field of a multipart/form-data body.
struct FormPart {
  std::string name;
  bool is_file = false;  ///< it came with a file name (which is not kept)
  std::string data;
};

struct Form {
  bool well_formed = false;
  std::vector<FormPart> parts;  ///< none of a malformed one
};

/// A request that has been read, without any trace of the library that read it.
struct Request {
  std::string method;
  std::string path;           ///< as sent, without the query
  std::string query;          ///< as sent, without '?'
  PathParameters parameters;  ///< what the path has for the parameters of its route's pattern
  Headers headers;            ///< names in lower case
  std::string body;
  std::optional<Form>
      form;  ///< the body of a route that takes files, when it came as one; `body` is then empty
  std::string request_id;  ///< of the client when it is a plain word, else made here
  std::string peer;        ///< address of the client
  /// Becomes true when nobody waits for the answer any more.
  std::shared_ptr<const std::atomic<bool>> given_up;

  /// The first value of a header, empty when there is none. name: in lower case.
  std::string_view header(std::string_view name) const;
  /// The value of a parameter of the path, empty when there is none.
  std::string_view parameter(std::string_view name) const;
  /// "application/json" of "application/json; charset=utf-8", in lower case.
  std::string media_type() const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  /// What follows `body`, a piece a call, and nothing at its end. Called on workers, one call at a time. An
  /// answer that has it is sent as it is made; if a call throws, the client sees that it is broken off.
  std::function<std::string()> more;
  Headers headers;
  std::optional<Timing> timing;  ///< of an answer that needed the model
};

Response json_response(std::string body, int status = 200);

/// A JSON answer that may be long, and is then sent while it is written. step writes some of it, and returns
/// whether there is more; it keeps what it writes from.
Response json_response(std::function<bool(JsonWriter& json)> step);

/// {"detail": message}, as FastAPI words its errors.
Response detail_error(int status, const std::string& message);

/// X-Queue-Ms and the like.
Headers timing_headers(const Timing& timing);

/// With two decimal places.
std::string milliseconds(Seconds seconds);

/// Names and values of a query or a urlencoded form, decoded, in their order.
std::vector<std::pair<std::string, std::string>> decode_query(std::string_view query);

/// Resolves %XX; '+' becomes a space when plus_is_space.
std::string percent_decoded(std::string_view text, bool plus_is_space);

/// True when text is well-formed UTF-8 without NUL.
bool is_plain_utf8(std::string_view text);

}  // namespace mii::serve
