#include "model/backward.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <numbers>
#include <numeric>

namespace mii {
namespace {

// On all threads of the computation. Tasks write to places of their own.
template <typename Task>
void parallel_for(size_t n, const Task& task) {
  std::exception_ptr failure;  // of memory
#pragma omp parallel for schedule(dynamic, 1) if (n > 1)
  for (size_t i = 0; i < n; ++i) {
    try {
      task(i);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

void add_scaled(std::span<const float> x, float factor, std::span<float> y) {
  for (size_t c = 0; c < y.size(); ++c) y[c] += factor * x[c];
}

// a * b
Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows(), b.cols());
  for (size_t i = 0; i < a.rows(); ++i)
    for (size_t j = 0; j < a.cols(); ++j) add_scaled(b.row(j), a.row(i)[j], c.row(i));
  return c;
}

// a^T * b
Matrix product_of_transposed(const Matrix& a, const Matrix& b) {
  Matrix c(a.cols(), b.cols());
  for (size_t i = 0; i < a.rows(); ++i)
    for (size_t j = 0; j < a.cols(); ++j) add_scaled(b.row(i), a.row(i)[j], c.row(j));
  return c;
}

Matrix transposed(const Matrix& a) {
  Matrix t(a.cols(), a.rows());
  for (size_t i = 0; i < a.rows(); ++i)
    for (size_t j = 0; j < a.cols(); ++j) t.row(j)[i] = a.row(i)[j];
  return t;
}

void scale_by(float factor, Matrix& a) {
  for (float& v : a.values()) v *= factor;
}

// Row by row; the last column stands for `copies` equal ones.
void softmax(Matrix& scores, float copies) {
  for (size_t i = 0; i < scores.rows(); ++i) {
    const std::span<float> row = scores.row(i);
    const float top = *std::ranges::max_element(row);
    for (float& s : row) s = std::exp(s - top);
    row.back() *= copies;
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    for (float& s : row) s = static_cast<float>(s / sum);
  }
}

// Makes gradients of shares = softmax(scores) those of the scores.
void softmax_backward(const Matrix& shares, Matrix& gradients) {
  for (size_t i = 0; i < shares.rows(); ++i) {
    const std::span<const float> share = shares.row(i);
    const std::span<float> gradient = gradients.row(i);
    const double mean = std::inner_product(share.begin(), share.end(), gradient.begin(), 0.0);
    for (size_t j = 0; j < share.size(); ++j)
      gradient[j] = static_cast<float>(share[j] * (gradient[j] - mean));
  }
}

/// Some rows and columns of a larger matrix.
struct Part {
  std::vector<size_t> rows;
  size_t first_col = 0;
  size_t cols = 0;

  Matrix of(const Matrix& from, size_t first_row = 0) const {
    Matrix part(rows.size(), cols);
    for (size_t i = 0; i < rows.size(); ++i)
      std::ranges::copy(from.row(first_row + rows[i]).subspan(first_col, cols), part.row(i).begin());
    return part;
  }
  // The first rows.size() rows of part.
  void copy_to(Matrix& to, size_t first_row, const Matrix& part) const {
    for (size_t i = 0; i < rows.size(); ++i)
      std::ranges::copy(part.row(i), to.row(first_row + rows[i]).subspan(first_col, cols).begin());
  }
  Part moved(size_t by) const { return {rows, first_col + by, cols}; }
};

// The tokens of each window, without padding.
std::vector<std::vector<size_t>> windows_of(const WindowAttention& attention) {
  const auto height = static_cast<size_t>(attention.grid.height),
             width = static_cast<size_t>(attention.grid.width),
             window = static_cast<size_t>(attention.window);
  std::vector<std::vector<size_t>> windows;
  for (size_t top = 0; top < height; top += window)
    for (size_t left = 0; left < width; left += window) {
      windows.emplace_back();
      for (size_t y = top; y < std::min(top + window, height); ++y)
        for (size_t x = left; x < std::min(left + window, width); ++x)
          windows.back().push_back(y * width + x);
    }
  return windows;
}

void append_row(Matrix& matrix, std::span<const float> row) {
  Matrix longer(matrix.rows() + 1, matrix.cols());
  std::ranges::copy(row, std::ranges::copy(matrix.values(), longer.values().begin()).out);
  matrix = std::move(longer);
}

// One head in one window. Padding tokens are all alike: one more key and value, of which there are several.
void window_head_backward(const Matrix& qkv, std::span<const float> padding_qkv, const Part& part,
                          size_t paddings, const Matrix& gradients, Matrix& to) {
  const size_t channels = gradients.cols();
  const Part k_part = part.moved(channels), v_part = part.moved(2 * channels);
  const float scale = 1 / std::sqrt(static_cast<float>(part.cols));
  Matrix q = part.of(qkv), k = k_part.of(qkv), v = v_part.of(qkv);
  scale_by(scale, q);
  if (paddings > 0) {
    append_row(k, padding_qkv.subspan(k_part.first_col, part.cols));
    append_row(v, padding_qkv.subspan(v_part.first_col, part.cols));
  }
  Matrix shares = product(q, transposed(k));
  softmax(shares, paddings > 0 ? static_cast<float>(paddings) : 1);
  const Matrix v_transposed = transposed(v);
  for (size_t first = 0; first < gradients.rows(); first += qkv.rows()) {
    const Matrix of_out = part.of(gradients, first);
    v_part.copy_to(to, first, product_of_transposed(shares, of_out));
    Matrix of_scores = product(of_out, v_transposed);
    softmax_backward(shares, of_scores);
    k_part.copy_to(to, first, product_of_transposed(of_scores, q));
    Matrix of_q = product(of_scores, k);
    scale_by(scale, of_q);
    part.copy_to(to, first, of_q);
  }
}

// One group: shares = softmax_rows(scale * q^T k), out = v * shares^T.
void channel_group_backward(const Matrix& qkv, const Part& part, float scale, const Matrix& gradients,
                            Matrix& to) {
  const size_t channels = gradients.cols();
  const Part k_part = part.moved(channels), v_part = part.moved(2 * channels);
  Matrix q = part.of(qkv);
  const Matrix k = k_part.of(qkv), v = v_part.of(qkv);
  scale_by(scale, q);
  Matrix shares = product_of_transposed(q, k);
  softmax(shares, 1);
  for (size_t first = 0; first < gradients.rows(); first += qkv.rows()) {
    const Matrix of_out = part.of(gradients, first);
    v_part.copy_to(to, first, product(of_out, shares));
    Matrix of_scores = product_of_transposed(of_out, v);
    softmax_backward(shares, of_scores);
    k_part.copy_to(to, first, product(q, of_scores));
    Matrix of_q = product(k, transposed(of_scores));
    scale_by(scale, of_q);
    part.copy_to(to, first, of_q);
  }
}

}  // namespace

float gelu_slope(float x) {
  const float below = 0.5f * std::erfc(-x * std::numbers::sqrt2_v<float> / 2);
  const float density =
      std::exp(-x * x / 2) * std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>;
  return below + x * density;
}

void gelu_backward(const Matrix& x, Matrix& gradients) {
  parallel_for(x.rows(), [&](size_t i) {
    std::vector<float> slopes(x.cols());
    std::ranges::transform(x.row(i), slopes.begin(), gelu_slope);
    for (size_t row = i; row < gradients.rows(); row += x.rows())
      for (size_t c = 0; c < slopes.size(); ++c) gradients.row(row)[c] *= slopes[c];
  });
}

// With n = (x - mean) / sigma and g the gradient of n: (g - mean(g) - n mean(g n)) / sigma.
void layer_norm_backward(const Matrix& x, std::span<const float> weight, double epsilon, Matrix& gradients) {
  const auto channels = static_cast<double>(x.cols());
  parallel_for(x.rows(), [&](size_t i) {
    const std::span<const float> values = x.row(i);
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / channels;
    double variance = 0;
    for (const float v : values) variance += (v - mean) * (v - mean);
    const double sigma = std::sqrt(variance / channels + epsilon);
    for (size_t row = i; row < gradients.rows(); row += x.rows()) {
      const std::span<float> gradient = gradients.row(row);
      double sum = 0, along = 0;
      for (size_t c = 0; c < values.size(); ++c) {
        gradient[c] *= weight[c];
        sum += gradient[c];
        along += gradient[c] * (values[c] - mean);
      }
      const double slope = along / (sigma * sigma * channels);
      for (size_t c = 0; c < values.size(); ++c)
        gradient[c] = static_cast<float>((gradient[c] - sum / channels - (values[c] - mean) * slope) / sigma);
    }
  });
}

Matrix window_attention_backward(const Matrix& qkv, std::span<const float> padding_qkv,
                                 const WindowAttention& attention, const Matrix& gradients) {
  const auto heads = static_cast<size_t>(attention.heads),
             in_window = static_cast<size_t>(attention.window * attention.window);
  const size_t dim = gradients.cols() / heads;
  const std::vector<std::vector<size_t>> windows = windows_of(attention);
  Matrix to(gradients.rows(), qkv.cols());
  parallel_for(windows.size() * heads, [&](size_t task) {
    const std::vector<size_t>& tokens = windows[task / heads];
    window_head_backward(qkv, padding_qkv, {tokens, task % heads * dim, dim}, in_window - tokens.size(),
                         gradients, to);
  });
  return to;
}

Matrix channel_attention_backward(const Matrix& qkv, const ChannelAttention& attention,
                                  const Matrix& gradients) {
  const auto groups = static_cast<size_t>(attention.groups);
  const size_t dim = gradients.cols() / groups;
  std::vector<size_t> tokens(qkv.rows());
  std::iota(tokens.begin(), tokens.end(), 0);
  Matrix to(gradients.rows(), qkv.cols());
  parallel_for(groups, [&](size_t group) {
    channel_group_backward(qkv, {tokens, group * dim, dim}, attention.scale, gradients, to);
  });
  return to;
}

Matrix add_up_patches(const Matrix& patches, const TokenGrid& grid, const PatchConv& conv) {
  const int64_t height = patches_along(grid.height, conv), width = patches_along(grid.width, conv);
  const auto cut = static_cast<size_t>(height * width), tokens = static_cast<size_t>(grid.tokens());
  const size_t channels = patches.cols() / static_cast<size_t>(conv.size * conv.size);
  Matrix to(patches.rows() / cut * tokens, channels);
  parallel_for(patches.rows() / cut, [&](size_t k) {
    for (int64_t p = 0; p < height * width; ++p) {
      const std::span<const float> patch = patches.row(k * cut + static_cast<size_t>(p));
      const int64_t top = p / width * conv.stride - conv.padding,
                    left = p % width * conv.stride - conv.padding;
      for (int64_t at = 0; at < conv.size * conv.size; ++at) {
        const int64_t y = top + at / conv.size, x = left + at % conv.size;
        if (y < 0 || y >= grid.height || x < 0 || x >= grid.width) continue;
        add_scaled(patch.subspan(static_cast<size_t>(at) * channels, channels), 1,
                   to.row(k * tokens + static_cast<size_t>(y * grid.width + x)));
      }
    }
  });
  return to;
}

}  // namespace mii
