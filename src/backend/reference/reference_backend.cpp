#include "backend/reference/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "backend/host_backend.h"
#include "backend/reference/plain_bytes.h"

namespace mii {
namespace {

// [out, in]
struct PlainMatrix : PackedMatrix {
  std::vector<float> values;  // of a float matrix
  std::vector<int8_t> bytes;  // of one of int8,
  std::vector<float> scales;  // and the factor on each output [out]
  bool is_int8() const { return !scales.empty(); }
};

// What stands for the products of a row and the weights of one output.
double product(const PlainMatrix& weight, int64_t out, const float* x, int64_t in) {
  double sum = 0;
  for (int64_t i = 0; i < in; ++i) sum += double{weight.values[out * in + i]} * x[i];
  return sum;
}
double product(const PlainMatrix& weight, int64_t out, const PlainBytes& x, int64_t in) {
  const int64_t sum = plain_product(x, weight.bytes.data() + out * in, in);
  return double{x.scale} * weight.scales[out] * static_cast<double>(sum);
}

// y = linear(x) for one row, or y += linear(x).
template <typename Row>
void apply_row(const Linear& linear, const Row& x, float* y, bool add) {
  const auto& weight = static_cast<const PlainMatrix&>(*linear.weight);
  const float* bias = data(linear.bias);
  for (int64_t o = 0; o < linear.out; ++o) {
    const double sum = (bias == nullptr ? 0.0 : bias[o]) + product(weight, o, x, linear.in);
    y[o] = static_cast<float>(add ? y[o] + sum : sum);
  }
}

void apply(const Linear& linear, const float* x, float* y, bool add) {
  if (static_cast<const PlainMatrix&>(*linear.weight).is_int8())
    apply_row(linear, plain_quantise(x, linear.in), y, add);
  else
    apply_row(linear, x, y, add);
}

void apply(const LayerNorm& norm, const float* x, int64_t channels, float* y) {
  double mean = 0;
  for (int64_t c = 0; c < channels; ++c) mean += x[c];
  mean /= static_cast<double>(channels);
  double variance = 0;
  for (int64_t c = 0; c < channels; ++c) variance += (x[c] - mean) * (x[c] - mean);
  variance /= static_cast<double>(channels);
  const double scale = 1 / std::sqrt(variance + norm.epsilon);
  for (int64_t c = 0; c < channels; ++c)
    y[c] = static_cast<float>((x[c] - mean) * scale * data(norm.weight)[c] + data(norm.bias)[c]);
}

double activate(Activation activation, double x) {
  if (activation == Activation::gelu) return 0.5 * x * (1 + std::erf(x * std::sqrt(0.5)));
  return x / (1 + std::exp(-1.702 * x));
}

void softmax(std::vector<double>& scores) {
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - top);
  for (double& s : scores) s /= sum;
}

// Attention of one head over a list of tokens, given by their q|k|v rows of width 3C.
// out[i]: where token i's C values go, or null for a token whose result is not needed.
struct HeadAttention {
  int64_t channels;
  int64_t heads;
  int64_t head;
  bool causal;

  void operator()(const std::vector<const float*>& qkv, const std::vector<float*>& out) const {
    const int64_t dim = channels / heads;
    const int64_t first = head * dim;
    const double scale = 1 / std::sqrt(static_cast<double>(dim));
    for (size_t i = 0; i < qkv.size(); ++i) {
      if (out[i] == nullptr) continue;
      std::vector<double> weights(causal ? i + 1 : qkv.size());
      for (size_t j = 0; j < weights.size(); ++j)
        weights[j] = scale * dot(qkv[i] + first, qkv[j] + channels + first, dim);
      softmax(weights);
      for (int64_t c = first; c < first + dim; ++c) {
        double sum = 0;
        for (size_t j = 0; j < weights.size(); ++j) sum += weights[j] * qkv[j][2 * channels + c];
        out[i][c] = static_cast<float>(sum);
      }
    }
  }

  static double dot(const float* a, const float* b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += double{a[i]} * b[i];
    return sum;
  }
};

class ReferenceBackend final : public HostBackend {
 public:
  explicit ReferenceBackend(Precision precision) : precision_(precision) {}

  std::string description() const override { return "reference (plain loops)"; }
  Precision precision() const override { return precision_; }
  int threads() const override { return 1; }
  void attach_thread() override {}
  DType float_operands() const override { return DType::f32; }

  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight) override {
    auto matrix = std::make_unique<PlainMatrix>();
    if (weight.values.dtype == DType::i8) {
      const auto* bytes = reinterpret_cast<const int8_t*>(weight.values.data);
      matrix->bytes.assign(bytes, bytes + weight.values.elements());
      matrix->scales.assign(weight.scales.begin(), weight.scales.end());
      return matrix;
    }
    matrix->values.resize(weight.values.elements());
    std::memcpy(matrix->values.data(), weight.values.data, weight.values.bytes());
    if (weight.layout == StoredMatrix::Layout::in_out)
      matrix->values = transposed(matrix->values, weight.in(), weight.out());
    return matrix;
  }

  void scale_image(std::span<const uint8_t> rgb, const PixelScale& scale, Rows y) const override {
    for (int64_t i = 0; i < y.elements(); ++i)
      row(y, 0)[i] = (static_cast<float>(rgb[i]) / 255.0f - scale.mean[i % 3]) / scale.std[i % 3];
  }

  void embed_tokens(std::span<const int32_t> ids, std::span<const int32_t> places,
                    const TokenEmbedding& embedding, Rows y) override {
    for (int64_t r = 0; r < y.rows; ++r) {
      static_cast<const HostTable&>(*embedding.tokens).copy_row(ids[r], row(y, r));
      for (int64_t c = 0; c < y.cols; ++c) row(y, r)[c] += data(embedding.places)[places[r] * y.cols + c];
    }
  }

  void patch_conv(ConstRows x, const TokenGrid& grid, const PatchConv& conv, Rows y) override {
    const int64_t out_height = patches_along(grid.height, conv);
    const int64_t out_width = patches_along(grid.width, conv);
    std::vector<float> patch(conv.size * conv.size * x.cols);
    for (int64_t r = 0; r < y.rows; ++r) {
      const int64_t image = r / (out_height * out_width);
      const int64_t top = r / out_width % out_height * conv.stride - conv.padding;
      const int64_t left = r % out_width * conv.stride - conv.padding;
      float* to = patch.data();
      for (int64_t v = top; v < top + conv.size; ++v)
        for (int64_t u = left; u < left + conv.size; ++u, to += x.cols) {
          const bool inside = v >= 0 && v < grid.height && u >= 0 && u < grid.width;
          for (int64_t c = 0; c < x.cols; ++c)
            to[c] = inside ? row(x, (image * grid.height + v) * grid.width + u)[c] : 0.0f;
        }
      apply(conv.linear, patch.data(), row(y, r), false);
    }
  }

  void layer_norm(ConstRows x, const LayerNorm& norm, Rows y) override {
    for (int64_t r = 0; r < x.rows; ++r) apply(norm, row(x, r), x.cols, row(y, r));
  }

  void depthwise_conv_add(ConstRows x, const TokenGrid& grid, const DepthwiseConv& conv, Rows y) override {
    for (int64_t r = 0; r < x.rows; ++r) {
      const int64_t top = r / grid.width % grid.height;
      const int64_t left = r % grid.width;
      for (int64_t c = 0; c < x.cols; ++c) {
        double sum = double{row(x, r)[c]} + data(conv.bias)[c];
        for (int64_t dy = -1; dy <= 1; ++dy)
          for (int64_t dx = -1; dx <= 1; ++dx) {
            if (top + dy < 0 || top + dy >= grid.height || left + dx < 0 || left + dx >= grid.width) continue;
            sum += double{data(conv.weight)[((dy + 1) * 3 + dx + 1) * x.cols + c]} *
                   row(x, r + dy * grid.width + dx)[c];
          }
        row(y, r)[c] = static_cast<float>(sum);
      }
    }
  }

  void norm_linear(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) override {
    std::vector<float> normed(x.cols);
    for (int64_t r = 0; r < x.rows; ++r) {
      apply(norm, row(x, r), x.cols, normed.data());
      apply(linear, normed.data(), row(y, r), false);
    }
  }

  // The padded tokens are spelled out here, each a token of its own: the fast backends fold them into one.
  void window_attention_add(ConstRows qkv, const WindowAttention& attention, const Linear& proj,
                            Rows x) override {
    const auto& [grid, heads, window, padding] = attention;
    std::vector<float> out(x.elements());
    for (int64_t b = 0; b < grid.batch; ++b)
      for (int64_t top = 0; top < grid.height; top += window)
        for (int64_t left = 0; left < grid.width; left += window) {
          std::vector<const float*> tokens;
          std::vector<float*> results;
          for (int64_t v = top; v < top + window; ++v)
            for (int64_t u = left; u < left + window; ++u) {
              const bool inside = v < grid.height && u < grid.width;
              const int64_t r = (b * grid.height + v) * grid.width + u;
              tokens.push_back(inside ? row(qkv, r) : row(padding, 0));
              results.push_back(inside ? out.data() + r * x.cols : nullptr);
            }
          for (int64_t h = 0; h < heads; ++h) HeadAttention{x.cols, heads, h, false}(tokens, results);
        }
    add_projected(out, proj, x);
  }

  void channel_attention_add(ConstRows qkv, const ChannelAttention& attention, const Linear& proj,
                             Rows x) override {
    const int64_t dim = x.cols / attention.groups;
    const int64_t tokens = attention.grid.tokens();
    std::vector<float> out(x.elements());
    for (int64_t b = 0; b < attention.grid.batch; ++b)
      for (int64_t first = 0; first < x.cols; first += dim)
        for (int64_t i = 0; i < dim; ++i) {
          std::vector<double> weights(dim, 0.0);
          for (int64_t n = b * tokens; n < (b + 1) * tokens; ++n)
            for (int64_t j = 0; j < dim; ++j)
              weights[j] +=
                  double{row(qkv, n)[first + i]} * attention.scale * row(qkv, n)[x.cols + first + j];
          softmax(weights);
          for (int64_t n = b * tokens; n < (b + 1) * tokens; ++n) {
            double sum = 0;
            for (int64_t j = 0; j < dim; ++j) sum += weights[j] * row(qkv, n)[2 * x.cols + first + j];
            out[n * x.cols + first + i] = static_cast<float>(sum);
          }
        }
    add_projected(out, proj, x);
  }

  void text_attention_add(ConstRows qkv, const TextAttention& attention, const Linear& proj,
                          Rows x) override {
    std::vector<float> out(x.elements());
    for (size_t t = 0; t + 1 < attention.offsets.size(); ++t) {
      std::vector<const float*> tokens;
      std::vector<float*> results;
      for (int64_t r = attention.offsets[t]; r < attention.offsets[t + 1]; ++r) {
        tokens.push_back(row(qkv, r));
        results.push_back(out.data() + r * x.cols);
      }
      for (int64_t h = 0; h < attention.heads; ++h)
        HeadAttention{x.cols, attention.heads, h, attention.causal}(tokens, results);
    }
    add_projected(out, proj, x);
  }

  void key_attention_add(ConstRows q, ConstRows kv, const KeyAttention& attention, const Linear& proj,
                         Rows x) override {
    const int64_t dim = x.cols / attention.heads, keys = kv.cols - 2 * x.cols;
    const double scale = 1 / std::sqrt(static_cast<double>(dim));
    std::vector<float> out(x.elements());
    for (int64_t r = 0; r < x.rows; ++r) {
      const auto seen =
          attention.rows.subspan(attention.offsets[r], attention.offsets[r + 1] - attention.offsets[r]);
      for (int64_t first = 0; first < x.cols; first += dim) {
        std::vector<double> weights;
        for (const int64_t key : seen)
          weights.push_back(scale * HeadAttention::dot(row(q, r) + first, row(kv, key) + keys + first, dim));
        softmax(weights);
        for (int64_t c = first; c < first + dim; ++c) {
          double sum = 0;
          for (size_t j = 0; j < seen.size(); ++j) sum += weights[j] * row(kv, seen[j])[keys + x.cols + c];
          out[r * x.cols + c] = static_cast<float>(sum);
        }
      }
    }
    add_projected(out, proj, x);
  }

  void feed_forward_add(const FeedForward& ff, Rows x) override {
    std::vector<float> normed(x.cols);
    std::vector<float> hidden(ff.fc1.out);
    for (int64_t r = 0; r < x.rows; ++r) {
      apply(ff.norm, row(x, r), x.cols, normed.data());
      apply(ff.fc1, normed.data(), hidden.data(), false);
      for (float& h : hidden) h = static_cast<float>(activate(ff.activation, h));
      apply(ff.fc2, hidden.data(), row(x, r), true);
    }
  }

  void mean_tokens(ConstRows x, Rows y) override {
    const int64_t tokens = x.rows / y.rows;
    for (int64_t b = 0; b < y.rows; ++b)
      for (int64_t c = 0; c < x.cols; ++c) {
        double sum = 0;
        for (int64_t n = 0; n < tokens; ++n) sum += row(x, b * tokens + n)[c];
        row(y, b)[c] = static_cast<float>(sum / static_cast<double>(tokens));
      }
  }

  void l2_normalise(Rows x) override {
    for (int64_t r = 0; r < x.rows; ++r) {
      const double norm = std::sqrt(HeadAttention::dot(row(x, r), row(x, r), x.cols));
      for (int64_t c = 0; c < x.cols; ++c) row(x, r)[c] = static_cast<float>(row(x, r)[c] / norm);
    }
  }

 private:
  static std::vector<float> transposed(const std::vector<float>& from, int64_t rows, int64_t cols) {
    std::vector<float> to(from.size());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) to[c * rows + r] = from[r * cols + c];
    return to;
  }

  static void add_projected(const std::vector<float>& out, const Linear& proj, Rows x) {
    for (int64_t r = 0; r < x.rows; ++r) apply(proj, out.data() + r * proj.in, row(x, r), true);
  }

  Precision precision_;
};

}  // namespace

BackendEntry reference_backend() {
  return {.name = "reference",
          .description = "plain loops, slow, to compare with",
          .obstacle = [] { return std::string(); },
          .precisions =
              [] {
                return std::vector{Precision::f32, Precision::int8};
              },
          .make = [](const BackendOptions& options) -> std::unique_ptr<Backend> {
            return std::make_unique<ReferenceBackend>(options.precision);
          }};
}

}  // namespace mii
