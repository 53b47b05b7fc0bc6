#include "image/codec.h"
namespace mii {
void decode_tiff(Bytes, const DecodeOptions&, Canvas&) { throw_invalid("tiff", "not read yet"); }
}  // namespace mii
