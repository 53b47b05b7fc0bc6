#include "image/codec.h"
#include "image/encode_jpeg.h"
#include "image/preprocess.h"

namespace mii {

Image standardised(const Image& image, const AzureStandardisation& standard) {
  Canvas canvas({});
  image::decode_jpeg(encode_jpeg(resize_bicubic(image, standard.side, standard.side), standard.jpeg_quality),
                     {}, canvas);
  Image result = canvas.take();
  if (image.provenance() != nullptr) {
    auto provenance = std::make_shared<Provenance>(*image.provenance());
    provenance->azure_standardisation = true;
    result.set_provenance(std::move(provenance));
  }
  return result;
}

}  // namespace mii
