#include "text/unicode.h"

#include <unicode/bytestream.h>

#include "mii/error.h"

namespace mii {

void expect_icu(UErrorCode status) {
  if (U_FAILURE(status)) throw Error(ErrorCode::internal, std::string("ICU: ") + u_errorName(status));
}

std::string normalised(const icu::Normalizer2* (*instance)(UErrorCode&), std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = instance(status);
  expect_icu(status);
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  normalizer->normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                            nullptr, status);
  expect_icu(status);
  return result;
}

}  // namespace mii
