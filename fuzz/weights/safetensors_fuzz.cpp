#include <span>

#include "mii/error.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    mii::parse_safetensors(std::as_bytes(std::span(data, size)), "f");
  } catch (const mii::Error&) {
  }
  return 0;
}
