// Feeds one decoder, MII_FUZZ_DECODER, whatever the bytes' signature says.

#include <cstddef>
#include <cstdint>

#include "mii/error.h"

#include "image/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const mii::DecodeOptions options{.limits = {.max_pixels = 1 << 18, .max_file_bytes = 1 << 20},
                                   .grey16 = size % 2 == 0 ? mii::Grey16::minmax : mii::Grey16::high_byte};
  mii::Canvas canvas(options.limits);
  try {
    mii::image::MII_FUZZ_DECODER(std::as_bytes(std::span(data, size)), options, canvas);
  } catch (const mii::Error&) {
    return 0;
  }
  return canvas.take().pixels().empty() ? -1 : 0;
}
