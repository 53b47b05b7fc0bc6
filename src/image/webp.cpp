#include <cstring>
#include <memory>

#include <webp/decode.h>
#include <webp/demux.h>

#include "image/codec.h"

namespace mii {
namespace {

WebPBitstreamFeatures read_features(Bytes bytes) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(as_u8(bytes), bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) throw_invalid("WebP", "ends early");
  if (status != VP8_STATUS_OK) throw_invalid("WebP", "its header is damaged");
  return features;
}

void decode_still(Bytes bytes, Canvas& canvas) {
  const size_t stride = 3 * canvas.width();
  const uint8_t* painted = WebPDecodeRGBInto(as_u8(bytes), bytes.size(), canvas.row(0),
                                             stride * canvas.height(), static_cast<int>(stride));
  if (painted == nullptr) throw_invalid("WebP", "its pixels are damaged or end early");
}

// The library keeps two images of four bytes a pixel of an animation: it may have a fifth of the pixels.
constexpr uint64_t kFewerPixels = 5;

struct DeleteAnimation {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

// The first frame, on a transparent black background.
void decode_first_frame(Bytes bytes, Canvas& canvas) {
  const WebPData data{as_u8(bytes), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, DeleteAnimation> decoder(WebPAnimDecoderNew(&data, nullptr));
  uint8_t* rgba = nullptr;
  int timestamp_ms = 0;
  if (decoder == nullptr || WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp_ms) == 0) {
    throw_invalid("WebP", "its first frame is damaged or ends early");
  }
  uint8_t* rgb = canvas.row(0);
  for (size_t i = 0; i < canvas.width() * canvas.height(); ++i) std::memcpy(rgb + 3 * i, rgba + 4 * i, 3);
}

}  // namespace

void image::decode_webp(Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  const WebPBitstreamFeatures features = read_features(bytes);
  const auto width = static_cast<uint64_t>(features.width), height = static_cast<uint64_t>(features.height);
  if (features.has_animation)
    check_size(width, height, {.max_pixels = options.limits.max_pixels / kFewerPixels});
  canvas.start(width, height);
  features.has_animation ? decode_first_frame(bytes, canvas) : decode_still(bytes, canvas);
}

}  // namespace mii
