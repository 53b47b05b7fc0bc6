#pragma once

// Compressed images for tests: lossless JPEG by hand, JPEG 2000 by OpenJPEG's encoder.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <openjpeg.h>

namespace mii {

/// One component in lossless JPEG (ITU-T T.81 annex H), predictor 1 to 7. values: [rows, cols].
class LosslessJpegWriter {
 public:
  LosslessJpegWriter(int rows, int cols, int precision, int predictor)
      : rows_(rows), cols_(cols), precision_(precision), predictor_(predictor) {}

  std::string write(const std::vector<int>& values) {
    out_ = std::string("\xFF\xD8", 2);
    // Seventeen categories, each with a code of five bits: the category itself.
    std::string table(1, '\0');
    for (int length = 1; length <= 16; ++length) table += static_cast<char>(length == 5 ? 17 : 0);
    for (int category = 0; category <= 16; ++category) table += static_cast<char>(category);
    marker(0xC4, table);
    marker(0xC3, byte(precision_) + be16(rows_) + be16(cols_) + byte(1) + byte(1) + byte(0x11) + byte(0));
    marker(0xDA, byte(1) + byte(1) + byte(0) + byte(predictor_) + byte(0) + byte(0));
    for (int y = 0; y < rows_; ++y)
      for (int x = 0; x < cols_; ++x) difference(value(values, y, x) - predicted(values, y, x));
    while (bits_ != 0) put(1, 1);
    return out_ + std::string("\xFF\xD9", 2);
  }

 private:
  static std::string byte(int v) { return std::string(1, static_cast<char>(v)); }
  static std::string be16(int v) { return byte(v >> 8) + byte(v); }
  void marker(int code, const std::string& payload) {
    out_ += byte(0xFF) + byte(code) + be16(static_cast<int>(payload.size()) + 2) + payload;
  }
  int value(const std::vector<int>& values, int y, int x) const {
    return values[static_cast<size_t>(y * cols_ + x)];
  }
  int predicted(const std::vector<int>& values, int y, int x) const {
    if (x == 0 && y == 0) return 1 << (precision_ - 1);
    if (y == 0) return value(values, y, x - 1);
    if (x == 0) return value(values, y - 1, x);
    const int a = value(values, y, x - 1), b = value(values, y - 1, x), c = value(values, y - 1, x - 1);
    const int predictions[] = {0, a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1};
    return predictions[predictor_];
  }
  void difference(int d) {
    d = static_cast<int16_t>(d);  // modulo 2^16
    const int magnitude = d < 0 ? -d : d;
    int category = 0;
    while (magnitude >> category != 0) ++category;
    put(category, 5);
    if (category > 0 && category < 16) put(d < 0 ? d - 1 + (1 << category) : d, category);
  }
  void put(int value, int count) {
    for (int i = count - 1; i >= 0; --i) {
      pending_ = pending_ << 1 | (value >> i & 1);
      if (++bits_ < 8) continue;
      out_ += byte(pending_);
      if (pending_ == 0xFF) out_ += byte(0);
      bits_ = pending_ = 0;
    }
  }

  int rows_, cols_, precision_, predictor_;
  std::string out_;
  int pending_ = 0, bits_ = 0;
};

/// A lossless JPEG 2000 codestream. values: [rows, cols, samples]; three samples are written with the
/// reversible component transform.
inline std::string jpeg2000_codestream(uint32_t rows, uint32_t cols, uint32_t samples, uint32_t precision,
                                       bool is_signed, const std::vector<int>& values) {
  opj_cparameters_t parameters;
  opj_set_default_encoder_parameters(&parameters);
  parameters.tcp_numlayers = 1;
  parameters.cp_disto_alloc = 1;
  parameters.numresolution = 3;
  parameters.tcp_mct = samples == 3;
  std::vector<opj_image_cmptparm_t> components(samples);
  for (auto& component : components)
    component = {1, 1, cols, rows, 0, 0, precision, precision, is_signed ? 1u : 0u};
  const std::unique_ptr<opj_image_t, void (*)(opj_image_t*)> image(
      opj_image_create(samples, components.data(), samples == 3 ? OPJ_CLRSPC_SRGB : OPJ_CLRSPC_GRAY),
      opj_image_destroy);
  image->x1 = cols;
  image->y1 = rows;
  for (size_t i = 0; i < values.size(); ++i) image->comps[i % samples].data[i / samples] = values[i];

  struct Sink {
    std::string bytes;
    size_t at = 0;
  } sink;
  const std::unique_ptr<opj_stream_t, void (*)(opj_stream_t*)> stream(opj_stream_default_create(OPJ_FALSE),
                                                                      opj_stream_destroy);
  opj_stream_set_user_data(stream.get(), &sink, nullptr);
  opj_stream_set_write_function(stream.get(), [](void* from, OPJ_SIZE_T n, void* user) {
    auto& to = *static_cast<Sink*>(user);
    if (to.bytes.size() < to.at + n) to.bytes.resize(to.at + n);
    std::memcpy(to.bytes.data() + to.at, from, n);
    to.at += n;
    return n;
  });
  opj_stream_set_seek_function(stream.get(), [](OPJ_OFF_T to, void* user) {
    static_cast<Sink*>(user)->at = static_cast<size_t>(to);
    return static_cast<OPJ_BOOL>(OPJ_TRUE);
  });
  opj_stream_set_skip_function(stream.get(), [](OPJ_OFF_T n, void* user) {
    static_cast<Sink*>(user)->at += static_cast<size_t>(n);
    return n;
  });
  const std::unique_ptr<opj_codec_t, void (*)(opj_codec_t*)> codec(opj_create_compress(OPJ_CODEC_J2K),
                                                                   opj_destroy_codec);
  const bool written = opj_setup_encoder(codec.get(), &parameters, image.get()) == OPJ_TRUE &&
                       opj_start_compress(codec.get(), image.get(), stream.get()) == OPJ_TRUE &&
                       opj_encode(codec.get(), stream.get()) == OPJ_TRUE &&
                       opj_end_compress(codec.get(), stream.get()) == OPJ_TRUE;
  return written ? sink.bytes : std::string();
}

}  // namespace mii
