#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mii::serve {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// A request that has been read, without any trace of the library that read it.
struct Request {
  std::string method;
  std::string path;   ///< percent-decoded, without the query
  std::string query;  ///< as sent, without '?'
  Headers headers;    ///< names in lower case
  std::string body;
  std::string request_id;  ///< of the client when it is a plain word, else made here
  std::string peer;        ///< address of the client

  /// The first value of a header, empty when there is none. name: in lower case.
  std::string_view header(std::string_view name) const;
  /// "application/json" of "application/json; charset=utf-8", in lower case.
  std::string media_type() const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  Headers headers;
};

/// How a route words its errors.
enum class ErrorStyle {
  detail,  ///< {"detail": "..."}, as FastAPI
  openai,  ///< {"error": {"message", "type", "param", "code"}}
};

Response json_response(std::string body, int status = 200);
Response error_response(ErrorStyle style, int status, const std::string& message,
                        const std::string& code = {});

/// Names and values of a query or a urlencoded form, decoded, in their order.
std::vector<std::pair<std::string, std::string>> decode_query(std::string_view query);

/// Resolves %XX; '+' becomes a space when plus_is_space.
std::string percent_decoded(std::string_view text, bool plus_is_space);

/// True when text is well-formed UTF-8 without NUL.
bool is_plain_utf8(std::string_view text);

}  // namespace mii::serve
