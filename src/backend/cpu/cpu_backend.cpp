#include "backend/cpu/cpu_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/cpu/byte_products.h"
#include "backend/cpu/float_products.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/product_seconds.h"
#include "backend/cpu/team.h"
#include "backend/cpu/vector_kernels.h"
#include "backend/host_backend.h"
#include "backend/precision.h"
#include "core/aligned_buffer.h"

namespace mii {
namespace {

// Rows of a hidden layer that lie in memory at once.
constexpr int64_t kMixedRows = 1200;
// Rows or tokens of one task of one thread.
constexpr int64_t kTaskRows = 32;
// Tokens whose channel products are summed in one go. Fixed, so that the sums do not depend on the threads.
constexpr int64_t kChannelTokens = 256;

// How a matrix product is computed is a matter of its weights: f32, bf16 or bytes, as they were packed.
class CpuBackend final : public HostBackend {
 public:
  explicit CpuBackend(const BackendOptions& options)
      : precision_(options.precision),
        threads_(team_size(options.threads)),
        floats_(threads_),
        bytes_(threads_) {}

  std::string description() const override {
    const DType operands = info_of(precision_).weights;
    const std::string kernel = operands == DType::i8 ? bytes_.description() : floats_.description(operands);
    return "cpu (" + OneDnnPanels::version() + ", " + kernel + ")";
  }
  Precision precision() const override { return precision_; }
  int threads() const override { return threads_; }
  void attach_thread() override { set_team(threads_); }

  DType float_operands() const override { return OneDnnPanels::has_fast_bf16() ? DType::bf16 : DType::f32; }

  std::unique_ptr<PackedMatrix> pack(const StoredMatrix& weight) override {
    return weight.values.dtype == DType::i8 ? bytes_.pack(weight) : floats_.pack(weight);
  }

  void scale_image(std::span<const uint8_t> rgb, const PixelScale& scale, Rows y) const override {
    float value_of[3][256];
    for (size_t c = 0; c < 3; ++c)
      for (size_t v = 0; v < 256; ++v)
        value_of[c][v] = (static_cast<float>(v) / 255.0f - scale.mean[c]) / scale.std[c];
    const Parts parts{y.rows, 4096};
    parallel_for(parts.count(), [&](int64_t i) {
      const uint8_t* from = rgb.data() + 3 * parts.begin(i);
      float* to = row(y, parts.begin(i));
      for (int64_t p = 0; p < parts.length(i); ++p, from += 3, to += 3)
        for (size_t c = 0; c < 3; ++c) to[c] = value_of[c][from[c]];
    });
  }

  void embed_tokens(std::span<const int32_t> ids, std::span<const int32_t> places,
                    const TokenEmbedding& embedding, Rows y) override {
    const auto& tokens = static_cast<const HostTable&>(*embedding.tokens);
    // One after another: reading may throw, and few bytes are read.
    for (int64_t r = 0; r < y.rows; ++r) {
      tokens.copy_row(ids[size(r)], row(y, r));
      add_to(data(embedding.places) + places[size(r)] * y.cols, size(y.cols), row(y, r));
    }
  }

  void patch_conv(ConstRows x, const TokenGrid& grid, const PatchConv& conv, Rows y) override {
    if (ByteProducts::packed(*conv.linear.weight)) {
      const auto patch = [&](int64_t r, float* to) {
        cut_patch(x, grid, conv, r, to);
        return to;
      };
      return bytes_.multiply(patch, y.rows, conv.linear, {}, row(y, 0));
    }
    in_type_of(conv.linear, [&]<typename T>(T) {
      const auto patches = [&](int64_t first, int64_t rows, void* to) {
        for (int64_t r = 0; r < rows; ++r)
          cut_patch(x, grid, conv, first + r, static_cast<T*>(to) + r * conv.linear.in);
      };
      floats_.multiply(patches, y.rows, conv.linear, {}, row(y, 0));
    });
  }

  void layer_norm(ConstRows x, const LayerNorm& norm, Rows y) override {
    const Parts parts{x.rows, kTaskRows};
    parallel_for(parts.count(), [&](int64_t i) {
      layer_norm_rows(norm_task(x, norm, parts.begin(i), parts.length(i)), row(y, parts.begin(i)));
    });
  }

  void depthwise_conv_add(ConstRows x, const TokenGrid& grid, const DepthwiseConv& conv, Rows y) override {
    parallel_for(grid.batch * grid.height, [&](int64_t i) {
      const int64_t at = i % grid.height;
      const DepthwiseRow task{.x = row(x, i * grid.width),
                              .width = size(grid.width),
                              .channels = size(x.cols),
                              .has_above = at > 0,
                              .has_below = at + 1 < grid.height,
                              .weight = data(conv.weight),
                              .bias = data(conv.bias)};
      depthwise_row(task, row(y, i * grid.width));
    });
  }

  void norm_linear(ConstRows x, const LayerNorm& norm, const Linear& linear, Rows y) override {
    if (ByteProducts::packed(*linear.weight))
      return bytes_.multiply(normed_rows(x, norm), x.rows, linear, {}, row(y, 0));
    floats_.multiply(normed_block(x, norm, linear), x.rows, linear, {}, row(y, 0));
  }

  void window_attention_add(ConstRows qkv, const WindowAttention& attention, const Linear& proj,
                            Rows x) override {
    const auto& [grid, heads, window, padding] = attention;
    const int64_t windows_down = divide_up(grid.height, window);
    const int64_t windows_across = divide_up(grid.width, window);
    const int64_t windows = grid.batch * windows_down * windows_across;
    token_lists_.resize(size(windows));
    for (int64_t w = 0; w < windows; ++w) {
      const int64_t image = w / (windows_down * windows_across);
      const int64_t top = w / windows_across % windows_down * window;
      const int64_t left = w % windows_across * window;
      list_tokens(grid, image, {top, std::min(top + window, grid.height)},
                  {left, std::min(left + window, grid.width)}, token_lists_[size(w)]);
    }
    attend_in_lists(qkv, {heads, false, window * window, row(padding, 0)}, proj, x);
  }

  void text_attention_add(ConstRows qkv, const TextAttention& attention, const Linear& proj,
                          Rows x) override {
    token_lists_.resize(attention.offsets.size() - 1);
    for (size_t t = 0; t < token_lists_.size(); ++t) {
      token_lists_[t].clear();
      for (int64_t r = attention.offsets[t]; r < attention.offsets[t + 1]; ++r) token_lists_[t].push_back(r);
    }
    attend_in_lists(qkv, {attention.heads, attention.causal, 0, nullptr}, proj, x);
  }

  void key_attention_add(ConstRows q, ConstRows kv, const KeyAttention& attention, const Linear& proj,
                         Rows x) override {
    const int64_t dim = x.cols / attention.heads;
    int64_t most = 0;
    for (int64_t r = 0; r < x.rows; ++r)
      most = std::max(most, attention.offsets[size(r + 1)] - attention.offsets[size(r)]);
    attention_scratch_.reserve_discarding(size(most) * static_cast<size_t>(max_threads()));
    in_type_of(proj, [&]<typename T>(T) {
      T* attended = operand<T>(x.elements());
      parallel_for(x.rows * attention.heads, [&](int64_t i) {
        const int64_t r = i / attention.heads, first = i % attention.heads * dim;
        const int64_t begin = attention.offsets[size(r)];
        const QueryToKeys task{.q = row(q, r) + first,
                               .kv = row(kv, 0),
                               .row_of = attention.rows.data() + begin,
                               .keys = size(attention.offsets[size(r + 1)] - begin),
                               .row_stride = size(kv.cols),
                               .k_offset = size(kv.cols - 2 * x.cols + first),
                               .v_offset = size(kv.cols - x.cols + first),
                               .dim = size(dim),
                               .scale = 1.0f / std::sqrt(static_cast<float>(dim))};
        attend_to_keys(task, attention_scratch_.data() + size(most) * static_cast<size_t>(thread_index()),
                       attended + r * x.cols + first);
      });
      project_add(attended, proj, x);
    });
  }

  void channel_attention_add(ConstRows qkv, const ChannelAttention& attention, const Linear& proj,
                             Rows x) override {
    const int64_t tokens = attention.grid.tokens();
    const int64_t dim = x.cols / attention.groups;
    const int64_t group_sums = dim * dim;
    const int64_t image_sums = attention.groups * group_sums;
    const Parts parts{tokens, kChannelTokens};
    const auto part = [&](int64_t i) {
      const int64_t first = i / parts.count() * tokens + parts.begin(i % parts.count());
      return ChannelTokens{row(qkv, first), size(parts.length(i % parts.count())), size(attention.groups),
                           size(dim)};
    };

    const int64_t tasks = attention.grid.batch * parts.count();
    sums_.reserve_discarding(size(tasks * image_sums));
    parallel_for(tasks, [&](int64_t i) { channel_products(part(i), sums_.data() + i * image_sums); });

    // The sums of the parts are added, in order, to those of each image's first part.
    const auto image_weights = [&](int64_t image) {
      return sums_.data() + image * parts.count() * image_sums;
    };
    parallel_for(attention.grid.batch * attention.groups, [&](int64_t i) {
      float* total = image_weights(i / attention.groups) + i % attention.groups * group_sums;
      for (int64_t p = 1; p < parts.count(); ++p) add_to(total + p * image_sums, size(group_sums), total);
      channel_softmax(total, size(dim), attention.scale);
    });

    in_type_of(proj, [&]<typename T>(T) {
      T* mixed = operand<T>(x.elements());
      parallel_for(tasks, [&](int64_t i) {
        const ChannelTokens task = part(i);
        channel_mix(task, image_weights(i / parts.count()), mixed + (task.qkv - row(qkv, 0)) / 3);
      });
      project_add(mixed, proj, x);
    });
  }

  void feed_forward_add(const FeedForward& ff, Rows x) override {
    const bool fc1_in_bytes = ByteProducts::packed(*ff.fc1.weight);
    const bool fc2_in_bytes = ByteProducts::packed(*ff.fc2.weight);
    if (fc1_in_bytes && fc2_in_bytes)
      return bytes_.feed_forward_add(normed_rows(x, ff.norm), x.rows, ff, row(x, 0));
    if (!fc1_in_bytes && !fc2_in_bytes)
      return floats_.feed_forward_add(normed_block(x, ff.norm, ff.fc1), x.rows, ff, row(x, 0));
    const Parts parts = equal_parts(x.rows, kMixedRows);
    for (int64_t p = 0; p < parts.count(); ++p)
      mixed_feed_forward_add(ff, {x.storage, x.offset + parts.begin(p) * x.cols, parts.length(p), x.cols});
  }

  void mean_tokens(ConstRows x, Rows y) override {
    const int64_t tokens = x.rows / y.rows;
    for (int64_t b = 0; b < y.rows; ++b) {
      std::fill_n(row(y, b), y.cols, 0.0f);
      for (int64_t n = 0; n < tokens; ++n) add_to(row(x, b * tokens + n), size(x.cols), row(y, b));
      for (int64_t c = 0; c < y.cols; ++c) row(y, b)[c] /= static_cast<float>(tokens);
    }
  }

  void l2_normalise(Rows x) override {
    for (int64_t r = 0; r < x.rows; ++r) {
      double squares = 0;
      for (int64_t c = 0; c < x.cols; ++c) squares += double{row(x, r)[c]} * row(x, r)[c];
      const double norm = std::sqrt(squares);
      for (int64_t c = 0; c < x.cols; ++c) row(x, r)[c] = static_cast<float>(row(x, r)[c] / norm);
    }
  }

 private:
  static size_t size(int64_t n) { return static_cast<size_t>(n); }

  struct Range {
    int64_t begin;
    int64_t end;
  };
  static void list_tokens(const TokenGrid& grid, int64_t image, Range down, Range across,
                          std::vector<int64_t>& list) {
    list.clear();
    for (int64_t v = down.begin; v < down.end; ++v)
      for (int64_t u = across.begin; u < across.end; ++u)
        list.push_back((image * grid.height + v) * grid.width + u);
  }

  template <typename T>
  static void cut_patch(ConstRows x, const TokenGrid& grid, const PatchConv& conv, int64_t r, T* patch) {
    const int64_t across = patches_along(grid.width, conv);
    const int64_t down = patches_along(grid.height, conv);
    const int64_t image = r / (down * across);
    const int64_t top = r / across % down * conv.stride - conv.padding;
    const int64_t left = r % across * conv.stride - conv.padding;
    const int64_t skipped = std::max<int64_t>(0, -left);
    const int64_t inside = std::max<int64_t>(0, std::min(conv.size, grid.width - left) - skipped);
    const int64_t row_values = conv.size * x.cols;
    for (int64_t v = top; v < top + conv.size; ++v, patch += row_values) {
      std::memset(patch, 0, size(row_values) * sizeof(T));
      if (v < 0 || v >= grid.height) continue;
      const float* from = row(x, (image * grid.height + v) * grid.width + left + skipped);
      round_to(from, size(inside * x.cols), patch + skipped * x.cols);
    }
  }

  static LayerNormRows norm_task(ConstRows x, const LayerNorm& norm, int64_t first, int64_t rows) {
    return {.x = row(x, first),
            .rows = size(rows),
            .channels = size(x.cols),
            .weight = data(norm.weight),
            .bias = data(norm.bias),
            .epsilon = norm.epsilon};
  }

  // Where one of the two products is of bytes, the other of floats.
  void mixed_feed_forward_add(const FeedForward& ff, Rows x) {
    hidden_.reserve_discarding(size(x.rows * ff.fc1.out));
    if (ByteProducts::packed(*ff.fc1.weight))
      bytes_.multiply(normed_rows(x, ff.norm), x.rows, ff.fc1, {.activation = ff.activation}, hidden_.data());
    else
      floats_.multiply_and_activate(normed_block(x, ff.norm, ff.fc1), x.rows, ff.fc1, ff.activation,
                                    hidden_.data());
    if (ByteProducts::packed(*ff.fc2.weight)) return project_add(hidden_.data(), ff.fc2, x);
    in_type_of(ff.fc2, [&]<typename T>(T) {
      const auto rounded = [&](int64_t first, int64_t rows, void* to) {
        round_to(hidden_.data() + first * ff.fc2.in, size(rows * ff.fc2.in), static_cast<T*>(to));
      };
      floats_.multiply(rounded, x.rows, ff.fc2, {.accumulate = true}, row(x, 0));
    });
  }

  struct ListAttention {
    int64_t heads;
    bool causal;
    int64_t full_list;         // lists shorter than this are filled up with padding tokens
    const float* padding_qkv;  // [3C]
  };

  // Attention within each of token_lists_, then its projection.
  void attend_in_lists(ConstRows qkv, const ListAttention& attention, const Linear& proj, Rows x) {
    const int64_t dim = x.cols / attention.heads;
    size_t longest = 0;
    for (const auto& list : token_lists_) longest = std::max(longest, list.size());
    const size_t scratch = attention_scratch(longest, size(dim));
    attention_scratch_.reserve_discarding(scratch * static_cast<size_t>(max_threads()));
    in_type_of(proj, [&]<typename T>(T) {
      T* attended = operand<T>(x.elements());
      parallel_for(static_cast<int64_t>(token_lists_.size()) * attention.heads, [&](int64_t i) {
        const auto& list = token_lists_[size(i / attention.heads)];
        const int64_t first = i % attention.heads * dim;
        const float* padding = attention.padding_qkv;
        const AttentionHead head{
            .qkv = row(qkv, 0),
            .row_of = list.data(),
            .tokens = list.size(),
            .row_stride = size(qkv.cols),
            .q_offset = size(first),
            .k_offset = size(x.cols + first),
            .v_offset = size(2 * x.cols + first),
            .dim = size(dim),
            .scale = 1.0f / std::sqrt(static_cast<float>(dim)),
            .causal = attention.causal,
            .padding_tokens = padding == nullptr ? 0 : size(attention.full_list) - list.size(),
            .padding_k = padding == nullptr ? nullptr : padding + x.cols + first,
            .padding_v = padding == nullptr ? nullptr : padding + 2 * x.cols + first,
        };
        attend(head, attention_scratch_.data() + scratch * static_cast<size_t>(thread_index()),
               attended + first, size(x.cols));
      });
      project_add(attended, proj, x);
    });
  }

  // Calls task with a value of the type in which a product takes its left operand: for bytes float, which it
  // rounds itself.
  template <typename Task>
  static void in_type_of(const Linear& linear, const Task& task) {
    const bool rounded =
        !ByteProducts::packed(*linear.weight) && FloatProducts::operands(*linear.weight) == DType::bf16;
    if (rounded)
      task(BFloat16{});
    else
      task(float{});
  }

  // norm(x), row by row.
  static ByteProducts::RowSource normed_rows(ConstRows x, const LayerNorm& norm) {
    return [x, &norm](int64_t r, float* to) {
      layer_norm_rows(norm_task(x, norm, r, 1), to);
      return to;
    };
  }

  // norm(x), as this layer takes it.
  static FloatProducts::Fill normed_block(ConstRows x, const LayerNorm& norm, const Linear& linear) {
    FloatProducts::Fill fill;
    in_type_of(linear, [&]<typename T>(T) {
      fill = [x, &norm](int64_t first, int64_t rows, void* to) {
        layer_norm_rows(norm_task(x, norm, first, rows), static_cast<T*>(to));
      };
    });
    return fill;
  }

  // x += proj(a), a: [x.rows, proj.in].
  template <typename T>
  void project_add(const T* a, const Linear& proj, Rows x) {
    if constexpr (std::is_same_v<T, float>)
      if (ByteProducts::packed(*proj.weight)) {
        const auto rows = [&](int64_t r, float*) { return a + r * proj.in; };
        return bytes_.multiply(rows, x.rows, proj, {.accumulate = true}, row(x, 0));
      }
    floats_.multiply(a, x.rows, proj, {.accumulate = true}, row(x, 0));
  }

  // Room for the left operand of the next product.
  template <typename T>
  T* operand(int64_t elements) {
    operand_.reserve_discarding(size(elements) * sizeof(T));
    return reinterpret_cast<T*>(operand_.data());
  }

  Precision precision_;
  int threads_;
  FloatProducts floats_;
  ByteProducts bytes_;
  AlignedBuffer<std::byte> operand_;
  AlignedBuffer<float> hidden_;
  AlignedBuffer<float> sums_;
  AlignedBuffer<float> attention_scratch_;
  std::vector<std::vector<int64_t>> token_lists_;
};

std::vector<Precision> precisions_here() {
  std::vector<Precision> here;
  if (OneDnnPanels::has_fast_bytes()) here.push_back(Precision::int8);
  if (OneDnnPanels::has_fast_bf16()) here.push_back(Precision::bf16);
  here.push_back(Precision::f32);
  return here;
}

std::unique_ptr<Backend> make(const BackendOptions& options) { return std::make_unique<CpuBackend>(options); }

}  // namespace

BackendEntry cpu_backend() {
  return {.name = "cpu",
          .description = "oneDNN and vector code",
          .obstacle = [] { return std::string(); },
          .precisions = precisions_here,
          .make = make,
          .product_seconds =
              [](const BackendOptions& options, const ProductShape& shape) {
                return measure_product_seconds(info_of(options.precision).weights, shape, options.threads);
              }};
}

}  // namespace mii
