#include "mii/error.h"
#include "weights/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    mii::ModelConfig::parse({reinterpret_cast<const char*>(data), size}, "f");
  } catch (const mii::Error&) {
  }
  return 0;
}
