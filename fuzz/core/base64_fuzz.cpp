// What decodes encodes again to the same text, white space and padding aside.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mii/error.h"
#include "core/base64.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto bytes = mii::decode_base64(text);
    if (mii::decode_base64(mii::encode_base64(bytes)) != bytes) std::abort();
  } catch (const mii::Error&) {
  }
  return 0;
}
