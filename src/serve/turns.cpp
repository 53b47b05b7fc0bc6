#include "serve/turns.h"

namespace mii::serve {

Response turns_are_taken(const char* what) {
  constexpr const char* kRetrySeconds = "5";
  Response response = detail_error(429, what);
  response.headers.emplace_back("Retry-After", kRetrySeconds);
  return response;
}

}  // namespace mii::serve
