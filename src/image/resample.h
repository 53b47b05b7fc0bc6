#pragma once

// The two passes of Pillow's resize, with its arithmetic (Pillow 9.4, src/libImaging/Resample.c).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mii {

/// Which input samples make up each of the outputs [begin, end) of an axis, and with what weights:
/// Keys' cubic with a = -0.5, stretched by the reduction, its weights normalised and rounded to kWeightBits.
class AxisWeights {
 public:
  static constexpr int kWeightBits = 32 - 8 - 2;

  AxisWeights(size_t in_size, size_t out_size, size_t begin, size_t end);

  /// The most samples that any output of this axis reads.
  static size_t max_samples(size_t in_size, size_t out_size);
  /// How many outputs can be held at a time in a table of bounded size; at least 1.
  static size_t block_outputs(size_t in_size, size_t out_size);

  size_t begin() const { return begin_; }
  size_t end() const { return begin_ + first_.size(); }
  /// Weights held for each output: a multiple of 4, at least as many as the samples it reads; the rest are 0.
  size_t taps() const { return taps_; }
  /// The first input sample of an output.
  size_t first(size_t output) const { return first_[output - begin_]; }
  /// The output's weights, taps() of them.
  const int32_t* weights(size_t output) const { return weights_.data() + (output - begin_) * taps_; }

 private:
  void compute(size_t output, double scale, double support, size_t in_size, std::vector<double>& exact);

  size_t begin_;
  size_t taps_;
  std::vector<size_t> first_;
  std::vector<int32_t> weights_;
};

/// Rows of RGB that are read by index, `stride` bytes apart.
struct RgbRows {
  const uint8_t* data;
  size_t stride;
  size_t width;
  size_t height;

  const uint8_t* row(size_t y) const { return data + y * stride; }
};

/// Resizes rows [first_row, last_row) horizontally. Computes the outputs that the weights hold.
/// out: pixel (x, y) of the result is at out + y * out_stride + 3 * x.
void resample_rows(const RgbRows& in, const AxisWeights& weights, size_t first_row, size_t last_row,
                   uint8_t* out, size_t out_stride);

/// Computes row y of the vertical pass, one that the weights hold. out: 3 * in.width bytes.
void resample_column_sums(const RgbRows& in, const AxisWeights& weights, size_t y, uint8_t* out);

}  // namespace mii
