#include "image/codec.h"
#include "image/encode_jpeg.h"
#include "image/preprocess.h"

namespace mii {

Image standardised_as_azure(const Image& image) {
  constexpr size_t kSide = 512;
  constexpr int kQuality = 75;
  Canvas canvas({});
  decode_jpeg(encode_jpeg(resize_bicubic(image, kSide, kSide), kQuality), {}, canvas);
  Image standardised = canvas.take();
  if (image.provenance() != nullptr) {
    auto provenance = std::make_shared<Provenance>(*image.provenance());
    provenance->azure_standardisation = true;
    standardised.set_provenance(std::move(provenance));
  }
  return standardised;
}

}  // namespace mii
