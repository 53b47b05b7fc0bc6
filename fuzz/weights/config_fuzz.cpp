#include "mii/error.h"
#include "weights/config.h"

namespace {

template <typename Config>
void parse(std::string_view yaml) {
  try {
    Config::parse(yaml, "f");
  } catch (const mii::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view yaml(reinterpret_cast<const char*>(data), size);
  parse<mii::ModelConfig>(yaml);
  parse<mii::ReportDecoderConfig>(yaml);
  return 0;
}
