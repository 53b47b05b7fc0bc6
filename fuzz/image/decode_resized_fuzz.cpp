// From any bytes to a small resized picture, by both ways, which must agree.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "mii/error.h"

#include "image/preprocess.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const mii::DecodeOptions options{.limits = {.max_pixels = 1 << 16, .max_file_bytes = 1 << 20}};
  try {
    const mii::Image streamed = mii::decode_resized(bytes, {.width = 24, .height = 17, .decode = options});
    const mii::Image stepwise = mii::resize_bicubic(mii::Image::decode(bytes, options), 24, 17);
    if (!std::ranges::equal(streamed.pixels(), stepwise.pixels())) std::abort();
  } catch (const mii::Error&) {
  }
  return 0;
}
