#include <cstdlib>

#include "mii/error.h"
#include "text/clip_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const mii::ClipTokenizer tokenizer = mii::ClipTokenizer::load(MII_TOKENIZER);
  try {
    const auto ids = tokenizer.encode({reinterpret_cast<const char*>(data), size}, 77);
    if (ids.size() < 2 || ids.size() > 77 || ids.back() != tokenizer.end_id()) std::abort();
  } catch (const mii::Error&) {
  }
  return 0;
}
