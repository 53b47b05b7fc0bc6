// The kernels' bodies and the functions that launch them, compiled twice: by kernels.cu for the device and by
// kernels_on_host.cpp as plain C++. See block.h for what they are written in.

#include <algorithm>
#include <string>
#include <type_traits>

#include "backend/cuda/block.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda/launch-inl.h"
#include "mii/error.h"

namespace mii::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// Calls f with a value of the operands' type.
template <typename F>
void with_type(Operand type, const F& f) {
  switch (type) {
    case Operand::f32:
      return f(float{});
    case Operand::bf16:
      return f(BFloat16{});
    case Operand::f16:
      return f(Float16{});
    case Operand::f8:
      throw Error(ErrorCode::internal, "f8 is of products alone");
  }
}

// Calls f with the number of values to take at once: `wide` where n is a multiple of it.
template <int wide, typename F>
void with_width(int64_t n, const F& f) {
  if (n % wide == 0)
    f(std::integral_constant<int, wide>{});
  else
    f(std::integral_constant<int, 1>{});
}

// Element-wise work: item(i) for i in [0, n), a few a thread.
template <typename Item>
struct ForEach {
  static constexpr int kItems = 4 * kThreads;
  int64_t n;
  Item item;

  MII_DEVICE void operator()(const Block& block) const {
    const int64_t first = block.index() * kItems;
    const int64_t left = n - first;
    block.each(static_cast<int>(left < kItems ? left : kItems), [&](int i) { item(first + i); });
  }
};
template <typename Item>
void for_each(Device& device, int64_t n, const Item& item) {
  const ForEach<Item> kernel{n, item};
  launch(device, {divide_up(n, ForEach<Item>::kItems), kThreads, 0}, kernel);
}

struct ScalePixel {
  const uint8_t* rgb;
  PixelScale scale;
  float* y;

  MII_DEVICE void operator()(int64_t i) const {
    const int c = static_cast<int>(i % 3);
    const float* mean = &scale.mean[0];
    const float* deviation = &scale.std[0];
    y[i] = (static_cast<float>(rgb[i]) / 255.0f - mean[c]) / deviation[c];
  }
};

struct ResizeByte {
  Resizing resizing;
  uint8_t* y;

  MII_DEVICE void operator()(int64_t i) const {
    const DeviceAxis& axis = resizing.axis;
    const int64_t o = i / resizing.inner % axis.out;
    const int64_t line = i / resizing.inner / axis.out;
    const int64_t left = axis.in - axis.first[o];
    const int64_t samples = axis.taps < left ? axis.taps : left;
    const int32_t* weights = axis.weights + o * axis.taps;
    const uint8_t* from = resizing.x + (line * axis.in + axis.first[o]) * resizing.inner + i % resizing.inner;
    int32_t sum = 1 << (ResizeAxis::kWeightBits - 1);
    for (int64_t t = 0; t < samples; ++t) sum += from[t * resizing.inner] * weights[t];
    const int32_t value = sum >> ResizeAxis::kWeightBits;
    y[i] = static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
  }
};

struct AddPlace {
  const int32_t* which;
  int64_t cols;
  const float* places;
  float* y;

  MII_DEVICE void operator()(int64_t i) const { y[i] += places[which[i / cols] * cols + i % cols]; }
};

struct GatherValue {
  const float* x;
  const int64_t* which;
  int64_t cols;
  float* y;

  MII_DEVICE void operator()(int64_t i) const { y[i] = x[which[i / cols] * cols + i % cols]; }
};

template <typename T>
struct ConvertValue {
  const float* x;
  int64_t cols;
  T* y;
  int64_t y_stride;

  MII_DEVICE void operator()(int64_t i) const {
    const int64_t col = i % y_stride;
    y[i] = rounded<T>(col < cols ? x[i / y_stride * cols + col] : 0.0f);
  }
};

// V values of one place of a patch; the places that fill up a row are zero.
template <typename T, int V>
struct CutPatch {
  Patches patches;
  T* y;
  int64_t packs;  // of a row of y

  MII_DEVICE void operator()(int64_t i) const {
    const int64_t r = i / packs;
    const int64_t value = i % packs * V;
    const int64_t place = value / patches.channels;
    const int size = patches.places.size;
    Pack<T, V> to;
    for (int j = 0; j < V; ++j) to.v[j] = rounded<T>(0.0f);
    if (place < size * size) {
      const auto from = patches.places.source(patches.first + r, static_cast<int>(place) / size,
                                              static_cast<int>(place) % size);
      if (from.row >= 0) {
        const auto x = load<V>(patches.x + from.row * patches.channels + value % patches.channels);
        for (int j = 0; j < V; ++j) to.v[j] = rounded<T>(x.v[j]);
      }
    }
    store<V>(y + i * V, to);
  }
};

// A warp a row. The row is read three times, from the nearest cache after the first.
template <typename T, int V>
struct LayerNormKernel {
  NormRows norm;
  T* y;
  int64_t y_stride;

  MII_DEVICE void operator()(const Block& block) const {
    block.each_warp(kWarps, [&](const Warp& warp, int i) {
      const int64_t r = block.index() * kWarps + i;
      if (r < norm.rows) normalise(warp, norm.x + r * norm.channels, y + r * y_stride);
    });
  }

  MII_DEVICE void normalise(const Warp& warp, const float* x, T* to) const {
    const int packs = static_cast<int>(norm.channels) / V;
    const float channels = static_cast<float>(norm.channels);
    const float mean = warp.sum(packs, [&](int i) {
      const auto values = load<V>(x + i * V);
      float sum = 0;
      for (int j = 0; j < V; ++j) sum += values.v[j];
      return sum;
    }) / channels;
    const float variance = warp.sum(packs, [&](int i) {
      const auto values = load<V>(x + i * V);
      float sum = 0;
      for (int j = 0; j < V; ++j) sum += (values.v[j] - mean) * (values.v[j] - mean);
      return sum;
    }) / channels;
    const float scale = 1.0f / sqrtf(variance + norm.epsilon);
    warp.each(packs, [&](int i) {
      const auto values = load<V>(x + i * V);
      const auto weight = load<V>(norm.weight + i * V), bias = load<V>(norm.bias + i * V);
      Pack<T, V> result;
      for (int j = 0; j < V; ++j)
        result.v[j] = rounded<T>((values.v[j] - mean) * scale * weight.v[j] + bias.v[j]);
      store<V>(to + i * V, result);
    });
  }
};

// Each item is V channels of up to kLines tokens below each other: a line of three tokens is read once for
// the three tokens that it counts for.
template <int V>
struct DepthwiseStrip {
  static constexpr int kLines = 8;
  Depthwise conv;
  float* y;

  struct Line {
    Pack<float, V> at[3];
  };
  MII_DEVICE Line line(const float* image, int64_t v, int64_t u, int64_t c) const {
    Line line;
    for (int k = 0; k < 3; ++k) {
      const int64_t x = u + k - 1;
      if (v >= 0 && v < conv.grid.height && x >= 0 && x < conv.grid.width) {
        line.at[k] = load<V>(image + (v * conv.grid.width + x) * conv.channels + c);
      } else {
        for (int j = 0; j < V; ++j) line.at[k].v[j] = 0;
      }
    }
    return line;
  }

  MII_DEVICE void operator()(int64_t i) const {
    const int64_t packs = conv.channels / V;
    const int64_t c = i % packs * V;
    const int64_t u = i / packs % conv.grid.width;
    const int64_t strips = divide_up(conv.grid.height, kLines);
    const int64_t strip = i / packs / conv.grid.width;
    const int64_t top = strip % strips * kLines;
    const int64_t bottom = top + kLines < conv.grid.height ? top + kLines : conv.grid.height;
    const int64_t image_at = strip / strips * conv.grid.height * conv.grid.width * conv.channels;

    Pack<float, V> weight[9];
    for (int k = 0; k < 9; ++k) weight[k] = load<V>(conv.weight + k * conv.channels + c);
    const auto bias = load<V>(conv.bias + c);
    Line above = line(conv.x + image_at, top - 1, u, c);
    Line here = line(conv.x + image_at, top, u, c);
    for (int64_t v = top; v < bottom; ++v) {
      const Line below = line(conv.x + image_at, v + 1, u, c);
      Pack<float, V> sum;
      for (int j = 0; j < V; ++j) {
        float s = here.at[1].v[j] + bias.v[j];
        for (int k = 0; k < 3; ++k) s += weight[k].v[j] * above.at[k].v[j];
        for (int k = 0; k < 3; ++k) s += weight[3 + k].v[j] * here.at[k].v[j];
        for (int k = 0; k < 3; ++k) s += weight[6 + k].v[j] * below.at[k].v[j];
        sum.v[j] = s;
      }
      store<V>(y + image_at + (v * conv.grid.width + u) * conv.channels + c, sum);
      above = here;
      here = below;
    }
  }
};

MII_DEVICE float activated(Activation activation, float x) {
  if (activation == Activation::gelu) return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
  return x / (1.0f + expf(-1.702f * x));
}

template <typename T, int V>
struct ActivateValues {
  Activation activation;
  T* values;

  MII_DEVICE void operator()(int64_t i) const {
    auto x = load<V>(values + i * V);
    for (int j = 0; j < V; ++j) x.v[j] = rounded<T>(activated(activation, as_float(x.v[j])));
    store<V>(values + i * V, x);
  }
};

// Writes V values at `from`, or zeros for a null one, at `to`.
template <int V, typename In, typename T>
MII_DEVICE void copy_rounded(const In* from, T* to) {
  Pack<T, V> result;
  if (from == nullptr) {
    for (int j = 0; j < V; ++j) result.v[j] = rounded<T>(0.0f);
  } else {
    const auto values = load<V>(from);
    for (int j = 0; j < V; ++j) result.v[j] = rounded<T>(as_float(values.v[j]));
  }
  store<V>(to, result);
}

// A block of threads a list of tokens and head. Queries, keys and values lie in shared memory as whole tiles;
// each warp goes through strips of 16 queries: scores, softmax, sum of the values.
template <typename T, typename In, typename Lists, int V>
struct AttentionKernel {
  Attention attention;
  Lists lists;
  T* y;
  int64_t y_stride;

  MII_DEVICE void operator()(const Block& block) const {
    const TokenList list = lists.at(block.index() / attention.heads);
    const int head = static_cast<int>(block.index() % attention.heads);
    gather(block, list, head);
    const int strips = static_cast<int>(divide_up(list.tokens, kTile));
    block.each_warp(strips, [&](const Warp& warp, int strip) {
      const AttentionRoom& room = attention.room;
      float* scores = block.template shared<float>(room.scores() + warp.index() * room.score_bytes());
      T* weights = block.template shared<T>(room.weights() + warp.index() * room.weight_bytes());
      float* sums = block.template shared<float>(room.sums()) + warp.index() * kTile;
      score(block, warp, list, strip, scores);
      softmax(warp, list, strip, scores, weights, sums);
      mix(block, warp, list, weights, scores);
      write(warp, list, head, strip, scores, sums);
    });
  }

  MII_DEVICE T* matrix(const Block& block, int which) const {
    return block.template shared<T>(which * attention.room.matrix_bytes());
  }
  MII_DEVICE int key_tiles(const TokenList& list) const {
    return static_cast<int>(divide_up(list.keys(), kTile));
  }

  // q, k and v of the tokens, then those of the padding, then zeros up to whole tiles.
  MII_DEVICE void gather(const Block& block, const TokenList& list, int head) const {
    const AttentionRoom& room = attention.room;
    const int packs = room.padded_dim() / V;
    const int rows = key_tiles(list) * kTile;
    const int64_t channels = attention.heads * attention.dim;
    const In* qkv = static_cast<const In*>(attention.qkv.data);
    for (int which = 0; which < 3; ++which) {
      T* to = matrix(block, which);
      const int64_t offset = which * channels + head * attention.dim;
      block.each(rows * packs, [&](int i) {
        const int token = i / packs, d = i % packs * V;
        T* at = to + token * room.stride() + d;
        if (d < attention.dim && token < list.tokens)
          copy_rounded<V>(qkv + list.row(token) * 3 * channels + offset + d, at);
        else if (d < attention.dim && token < list.keys())
          copy_rounded<V>(attention.padding_qkv + offset + d, at);
        else
          copy_rounded<V>(static_cast<const float*>(nullptr), at);
      });
    }
  }

  MII_DEVICE void score(const Block& block, const Warp& warp, const TokenList& list, int strip,
                        float* scores) const {
    const AttentionRoom& room = attention.room;
    const T* q = matrix(block, 0) + strip * kTile * room.stride();
    const T* k = matrix(block, 1);
    for (int tile = 0; tile < key_tiles(list); ++tile) {
      Tile<T> sums;
      for (int d = 0; d < room.padded_dim(); d += kTile)
        sums.template add<Order::rows, Order::columns>(warp, q + d, room.stride(),
                                                       k + tile * kTile * room.stride() + d, room.stride());
      sums.store(warp, scores + tile * kTile, room.score_stride());
    }
  }

  // Weights that are not yet divided by their sum. The padding's one key weighs as much as all of it.
  MII_DEVICE void softmax(const Warp& warp, const TokenList& list, int strip, const float* scores, T* weights,
                          float* sums) const {
    const AttentionRoom& room = attention.room;
    const float scale = 1.0f / sqrtf(static_cast<float>(attention.dim));
    for (int r = 0; r < kTile; ++r) {
      const int query = strip * kTile + r;
      const int keys = attention.causal && query < list.tokens ? query + 1 : list.keys();
      const float* row = scores + r * room.score_stride();
      T* to = weights + r * room.weight_stride();
      const float top = warp.max(keys, [&](int j) { return row[j]; });
      const auto weight = [&](int j) {
        const float copies = j == list.tokens ? static_cast<float>(list.padding) : 1.0f;
        return rounded<T>(expf(scale * (row[j] - top)) * copies);
      };
      const float sum = warp.sum(keys, [&](int j) { return as_float(weight(j)); });
      warp.each(key_tiles(list) * kTile, [&](int j) { to[j] = j < keys ? weight(j) : rounded<T>(0.0f); });
      warp.each(1, [&](int) { sums[r] = sum; });
    }
  }

  // Over the scores, which are done with.
  MII_DEVICE void mix(const Block& block, const Warp& warp, const TokenList& list, const T* weights,
                      float* mixed) const {
    const AttentionRoom& room = attention.room;
    const T* v = matrix(block, 2);
    for (int d = 0; d < room.padded_dim(); d += kTile) {
      Tile<T> sums;
      for (int tile = 0; tile < key_tiles(list); ++tile)
        sums.template add<Order::rows, Order::rows>(warp, weights + tile * kTile, room.weight_stride(),
                                                    v + tile * kTile * room.stride() + d, room.stride());
      sums.store(warp, mixed + d, room.score_stride());
    }
  }

  MII_DEVICE void write(const Warp& warp, const TokenList& list, int head, int strip, const float* mixed,
                        const float* sums) const {
    const int packs = static_cast<int>(attention.dim) / V;
    const int left = list.tokens - strip * kTile;
    warp.each((left < kTile ? left : kTile) * packs, [&](int i) {
      const int r = i / packs, d = i % packs * V;
      Pack<T, V> result;
      for (int j = 0; j < V; ++j)
        result.v[j] = rounded<T>(mixed[r * attention.room.score_stride() + d + j] / sums[r]);
      store<V>(y + list.row(strip * kTile + r) * y_stride + head * attention.dim + d, result);
    });
  }
};

// Copies a part's tokens of q, k or v (which: 0, 1, 2) of one group to shared memory, zeros up to whole
// tiles.
template <int V, typename In, typename T>
MII_DEVICE void gather_channels(const Block& block, const ChannelProducts& products,
                                const ChannelRoom::Place& place, int which, T* to) {
  const ChannelRoom& room = products.room;
  const int packs = room.padded_dim() / V;
  const int rows = static_cast<int>(to_tiles(place.count));
  const int64_t channels = room.groups * room.dim;
  const In* from = static_cast<const In*>(products.qkv.data) + which * channels + place.group * room.dim;
  block.each(rows * packs, [&](int i) {
    const int token = i / packs, d = i % packs * V;
    const bool there = token < place.count && d < room.dim;
    copy_rounded<V>(there ? from + (place.first + token) * 3 * channels + d : nullptr,
                    to + token * room.stride() + d);
  });
}

// sums[i][j] = sum over a part's tokens of q[n][i] k[n][j]. A block of threads an image, group and part.
template <typename T, typename In, int V>
struct ChannelProductsKernel {
  ChannelProducts products;
  float* sums;

  MII_DEVICE void operator()(const Block& block) const {
    const ChannelRoom& room = products.room;
    const auto place = room.at(block.index());
    T* q = block.template shared<T>(0);
    T* k = block.template shared<T>(room.matrix_bytes());
    gather_channels<V, In>(block, products, place, 0, q);
    gather_channels<V, In>(block, products, place, 1, k);
    const int side = room.padded_dim() / kTile;
    float* to = sums + block.index() * room.square();
    block.each_warp(side * side, [&](const Warp& warp, int i) {
      const int row = i / side * kTile, col = i % side * kTile;
      Tile<T> tile;
      for (int n = 0; n < place.count; n += kTile)
        tile.template add<Order::columns, Order::rows>(warp, q + n * room.stride() + row, room.stride(),
                                                       k + n * room.stride() + col, room.stride());
      tile.store(warp, to + row * room.padded_dim() + col, room.padded_dim());
    });
  }
};

// A block of threads an image and group, a warp a row.
template <typename T>
struct ChannelSoftmaxKernel {
  ChannelRoom room;
  float scale;
  float* sums;
  T* weights;

  MII_DEVICE void operator()(const Block& block) const {
    const int side = room.padded_dim();
    float* group_sums = sums + block.index() * room.parts() * room.square();
    T* group_weights = weights + block.index() * room.square();
    block.each_warp(side, [&](const Warp& warp, int i) {
      float* row = group_sums + i * side;
      T* to = group_weights + i * side;
      if (i >= room.dim) {
        warp.each(side, [&](int j) { to[j] = rounded<T>(0.0f); });
        return;
      }
      warp.each(room.dim, [&](int j) {
        float total = row[j];
        for (int64_t p = 1; p < room.parts(); ++p) total += row[p * room.square() + j];
        row[j] = scale * total;
      });
      const float top = warp.max(room.dim, [&](int j) { return row[j]; });
      const float sum = warp.sum(room.dim, [&](int j) { return expf(row[j] - top); });
      warp.each(side, [&](int j) { to[j] = rounded<T>(j < room.dim ? expf(row[j] - top) / sum : 0.0f); });
    });
  }
};

// y[n][i] = sum over j of v[n][j] weights[i][j]. A block of threads an image, group and part, a warp 16
// tokens.
template <typename T, typename In, int V>
struct ChannelMixKernel {
  ChannelProducts products;
  const T* weights;
  T* y;
  int64_t y_stride;

  MII_DEVICE void operator()(const Block& block) const {
    const ChannelRoom& room = products.room;
    const auto place = room.at(block.index());
    const T* group_weights = weights + place.image_group * room.square();
    T* v = block.template shared<T>(0);
    gather_channels<V, In>(block, products, place, 2, v);
    block.each_warp(static_cast<int>(divide_up(place.count, kTile)), [&](const Warp& warp, int strip) {
      float* mixed =
          block.template shared<float>(room.matrix_bytes()) + warp.index() * kTile * room.strip_stride();
      for (int i = 0; i < room.padded_dim(); i += kTile) {
        Tile<T> tile;
        for (int j = 0; j < room.padded_dim(); j += kTile)
          tile.template add<Order::rows, Order::columns>(
              warp, v + strip * kTile * room.stride() + j, room.stride(),
              group_weights + i * room.padded_dim() + j, room.padded_dim());
        tile.store(warp, mixed + i, room.strip_stride());
      }
      const int packs = room.dim / V;
      const int left = place.count - strip * kTile;
      warp.each((left < kTile ? left : kTile) * packs, [&](int i) {
        const int r = i / packs, d = i % packs * V;
        Pack<T, V> result;
        for (int j = 0; j < V; ++j) result.v[j] = rounded<T>(mixed[r * room.strip_stride() + d + j]);
        store<V>(y + (place.first + strip * kTile + r) * y_stride + place.group * room.dim + d, result);
      });
    });
  }
};

// A warp a row. Where all values are zero, or next to it, they become zero.
template <typename In>
struct RoundingKernel {
  Rounding rounding;
  Float8* y;
  float* factors;

  MII_DEVICE void operator()(const Block& block) const {
    constexpr int V = 8;
    constexpr float kTiny = 1e-30f;
    block.each_warp(kWarps, [&](const Warp& warp, int i) {
      const int64_t r = block.index() * kWarps + i;
      if (r >= rounding.rows) return;
      const In* x = static_cast<const In*>(rounding.x.data) + r * rounding.cols;
      const int packs = static_cast<int>(rounding.cols) / V;
      const float top = warp.max(packs, [&](int p) {
        const auto values = load<V>(x + p * V);
        float largest = 0;
        for (int j = 0; j < V; ++j) largest = fmaxf(largest, fabsf(as_float(values.v[j])));
        return largest;
      });
      const float factor = top > kTiny ? top / Float8::kLargest : 1.0f;
      warp.each(packs, [&](int p) {
        const auto values = load<V>(x + p * V);
        Pack<Float8, V> result;
        for (int j = 0; j < V; ++j) result.v[j] = rounded<Float8>(as_float(values.v[j]) / factor);
        store<V>(y + r * rounding.cols + p * V, result);
      });
      warp.each(1, [&](int) { factors[r] = factor; });
    });
  }
};

struct AddBias {
  BiasRows rows;
  float* c;

  MII_DEVICE void operator()(int64_t i) const {
    float& to = c[i / rows.cols * rows.c_stride + i % rows.cols];
    to = (rows.accumulate ? to : 0.0f) + rows.bias[i % rows.cols];
  }
};

// A warp a tile of the result.
template <typename T, typename Out>
struct PlainProductKernel {
  PlainProduct product;

  MII_DEVICE void operator()(const Block& block) const {
    const int64_t across = divide_up(product.out, kTile);
    const int64_t tiles = across * divide_up(product.rows, kTile);
    const int in = static_cast<int>(product.in);
    block.each_warp(kWarps, [&](const Warp& warp, int i) {
      const int64_t at = block.index() * kWarps + i;
      if (at >= tiles) return;
      const int64_t row = at / across * kTile, col = at % across * kTile;
      Tile<T> tile;
      for (int k = 0; k < in; k += kTile)
        tile.template add<Order::rows, Order::columns>(
            warp, static_cast<const T*>(product.a) + row * product.in + k, in,
            static_cast<const T*>(product.weight) + col * product.in + k, in);
      constexpr int kStride = kTile + 4;
      float* sums = block.template shared<float>(0) + warp.index() * kTile * kStride;
      tile.store(warp, sums, kStride);
      warp.each(kTile * kTile, [&](int e) {
        const int64_t r = row + e / kTile, c = col + e % kTile;
        if (r >= product.rows || c >= product.out) return;
        Out& to = static_cast<Out*>(product.c)[r * product.c_stride + c];
        float sum = sums[e / kTile * kStride + e % kTile];
        if (product.a_factors != nullptr) sum *= product.a_factors[r] * product.weight_factors[c];
        if (product.bias != nullptr) sum += product.bias[c];
        if (product.accumulate) sum += as_float(to);
        to = rounded<Out>(sum);
      });
    });
  }
};

// A warp, alone in its block, a query and head. The scores lie in shared memory.
template <typename T>
struct KeyAttentionKernel {
  QueriesToKeys a;
  T* y;
  int64_t y_stride;

  MII_DEVICE void operator()(const Block& block) const {
    const int64_t query = block.index() / a.heads, head = block.index() % a.heads;
    const int64_t channels = a.heads * a.dim, first = head * a.dim;
    const int64_t* rows = a.rows + a.offsets[query];
    const int keys = static_cast<int>(a.offsets[query + 1] - a.offsets[query]);
    const int dim = static_cast<int>(a.dim);
    const float* q = a.q + query * a.q_cols + first;
    const float* k = a.kv + a.kv_cols - 2 * channels + first;
    const float* v = k + channels;
    const float scale = 1.0f / sqrtf(static_cast<float>(dim));
    float* weights = block.template shared<float>(0);
    block.each_warp(1, [&](const Warp& warp, int) {
      warp.each(keys, [&](int j) {
        float sum = 0;
        for (int c = 0; c < dim; ++c) sum += q[c] * k[rows[j] * a.kv_cols + c];
        weights[j] = sum * scale;
      });
      const float top = warp.max(keys, [&](int j) { return weights[j]; });
      warp.each(keys, [&](int j) { weights[j] = expf(weights[j] - top); });
      const float total = warp.sum(keys, [&](int j) { return weights[j]; });
      warp.each(dim, [&](int c) {
        float sum = 0;
        for (int j = 0; j < keys; ++j) sum += weights[j] * v[rows[j] * a.kv_cols + c];
        y[query * y_stride + first + c] = rounded<T>(sum / total);
      });
    });
  }
};

// A thread a channel of an image.
struct MeanToken {
  const float* x;
  int64_t tokens;
  int64_t channels;
  float* y;

  MII_DEVICE void operator()(int64_t i) const {
    const float* from = x + i / channels * tokens * channels + i % channels;
    float sum = 0;
    for (int64_t n = 0; n < tokens; ++n) sum += from[n * channels];
    y[i] = sum / static_cast<float>(tokens);
  }
};

struct NormaliseKernel {
  float* x;
  int64_t rows;
  int64_t cols;

  MII_DEVICE void operator()(const Block& block) const {
    block.each_warp(kWarps, [&](const Warp& warp, int i) {
      const int64_t r = block.index() * kWarps + i;
      if (r >= rows) return;
      float* row = x + r * cols;
      const int n = static_cast<int>(cols);
      const float norm = sqrtf(warp.sum(n, [&](int c) { return row[c] * row[c]; }));
      warp.each(n, [&](int c) { row[c] /= norm; });
    });
  }
};

void expect_room(const Device& device, int64_t bytes, const char* what) {
  if (bytes > device.shared_bytes())
    throw Error(ErrorCode::unsupported, std::string(what) + " takes " + std::to_string(bytes) +
                                            " bytes of a block's shared memory, of which " +
                                            device.description() + " has " +
                                            std::to_string(device.shared_bytes()));
}

template <typename Lists>
void attend_in(Device& device, const Attention& attention, const Lists& lists, Operand type, void* y) {
  const AttentionRoom& room = attention.room;
  expect_room(device, room.bytes(), "attention between so many tokens");
  const int64_t channels = attention.heads * attention.dim;
  const Launch shape{attention.lists * attention.heads, room.warps * 32, room.bytes()};
  with_type(type, [&](auto value) {
    using T = decltype(value);
    with_width<8>(attention.dim, [&](auto width) {
      constexpr int V = width();
      const auto start = [&](auto in) {
        using In = decltype(in);
        launch(device, shape,
               AttentionKernel<T, In, Lists, V>{attention, lists, static_cast<T*>(y), to_tiles(channels)});
      };
      if (attention.qkv.type == Operand::f32)
        start(float{});
      else
        start(T{});
    });
  });
}

// Calls f(T, type of q|k|v, width).
template <typename F>
void with_channels(const ChannelProducts& products, Operand type, const F& f) {
  with_type(type, [&](auto value) {
    with_width<8>(products.room.dim, [&](auto width) {
      if (products.qkv.type == Operand::f32)
        f(value, float{}, width);
      else
        f(value, value, width);
    });
  });
}

int64_t channel_blocks(const ChannelProducts& products) {
  return products.images * products.room.groups * products.room.parts();
}

constexpr int kChannelWarps = 4;

int64_t mix_bytes(const ChannelRoom& room) {
  return room.matrix_bytes() + int64_t{kChannelWarps} * kTile * room.strip_stride() * 4;
}

}  // namespace

void scale_pixels(Device& device, const uint8_t* rgb, int64_t pixels, const PixelScale& scale, float* y) {
  for_each(device, 3 * pixels, ScalePixel{rgb, scale, y});
}

void resize(Device& device, const Resizing& resizing, uint8_t* y) {
  for_each(device, resizing.lines * resizing.axis.out * resizing.inner, ResizeByte{resizing, y});
}

void add_places(Device& device, const int32_t* which, int64_t rows, int64_t cols, const float* places,
                float* y) {
  for_each(device, rows * cols, AddPlace{which, cols, places, y});
}

void gather_rows(Device& device, const float* x, const int64_t* which, int64_t rows, int64_t cols, float* y) {
  for_each(device, rows * cols, GatherValue{x, which, cols, y});
}

void convert(Device& device, const float* x, int64_t rows, int64_t cols, Operand type, void* y,
             int64_t y_stride) {
  with_type(type, [&](auto value) {
    using T = decltype(value);
    for_each(device, rows * y_stride, ConvertValue<T>{x, cols, static_cast<T*>(y), y_stride});
  });
}

void cut_patches(Device& device, const Patches& patches, Operand type, void* y) {
  const int64_t values = int64_t{patches.places.size} * patches.places.size * patches.channels;
  with_type(type, [&](auto value) {
    using T = decltype(value);
    with_width<4>(patches.channels, [&](auto width) {
      constexpr int V = width();
      const int64_t packs = to_tiles(values) / V;
      for_each(device, patches.rows * packs, CutPatch<T, V>{patches, static_cast<T*>(y), packs});
    });
  });
}

void layer_norm(Device& device, const NormRows& norm, Operand type, void* y, int64_t y_stride) {
  with_type(type, [&](auto value) {
    using T = decltype(value);
    with_width<4>(norm.channels, [&](auto width) {
      launch(device, {divide_up(norm.rows, kWarps), kThreads, 0},
             LayerNormKernel<T, width()>{norm, static_cast<T*>(y), y_stride});
    });
  });
}

void depthwise_conv_add(Device& device, const Depthwise& conv, float* y) {
  with_width<4>(conv.channels, [&](auto width) {
    using Strip = DepthwiseStrip<width()>;
    const int64_t strips = conv.grid.batch * divide_up(conv.grid.height, Strip::kLines);
    for_each(device, strips * conv.grid.width * (conv.channels / width()), Strip{conv, y});
  });
}

void activate(Device& device, Activation activation, Operand type, void* values, int64_t n) {
  with_type(type, [&](auto value) {
    using T = decltype(value);
    constexpr int V = 8;  // rows of operands are whole tiles
    for_each(device, n / V, ActivateValues<T, V>{activation, static_cast<T*>(values)});
  });
}

void attend(Device& device, const Attention& attention, const WindowLists& lists, Operand type, void* y) {
  attend_in(device, attention, lists, type, y);
}
void attend(Device& device, const Attention& attention, const TextLists& lists, Operand type, void* y) {
  attend_in(device, attention, lists, type, y);
}

void attend_to_keys(Device& device, const QueriesToKeys& attention, Operand type, void* y) {
  const int64_t bytes = attention.most_keys * static_cast<int64_t>(sizeof(float));
  expect_room(device, bytes, "attention to so many keys");
  with_type(type, [&](auto value) {
    using T = decltype(value);
    launch(device, {attention.queries * attention.heads, 32, bytes},
           KeyAttentionKernel<T>{attention, static_cast<T*>(y), to_tiles(attention.heads * attention.dim)});
  });
}

AttentionRoom attention_room(const Device& device, int64_t keys, int64_t dim, Operand type) {
  const auto strips = static_cast<int>(divide_up(keys, kTile));
  AttentionRoom room{static_cast<int>(keys), static_cast<int>(dim), static_cast<int>(size_of(type)),
                     std::min(strips <= 4 ? strips : (strips + 1) / 2, 16)};
  while (room.warps > 1 && room.bytes() > device.shared_bytes()) --room.warps;
  return room;
}

ChannelRoom channel_room(const Device& device, int64_t tokens, int64_t groups, int64_t dim, Operand type) {
  ChannelRoom room{tokens, groups, static_cast<int>(dim), 256, static_cast<int>(size_of(type))};
  const auto fits = [&] {
    return 2 * room.matrix_bytes() <= device.shared_bytes() && mix_bytes(room) <= device.shared_bytes();
  };
  while (room.part > kTile && !fits()) room.part /= 2;
  return room;
}

void channel_products(Device& device, const ChannelProducts& products, Operand type, float* sums) {
  const int64_t bytes = 2 * products.room.matrix_bytes();
  expect_room(device, bytes, "attention between so many channels of a group");
  with_channels(products, type, [&](auto value, auto in, auto width) {
    launch(device, {channel_blocks(products), kChannelWarps * 32, bytes},
           ChannelProductsKernel<decltype(value), decltype(in), width()>{products, sums});
  });
}

void channel_softmax(Device& device, const ChannelProducts& products, float scale, float* sums, Operand type,
                     void* weights) {
  with_type(type, [&](auto value) {
    using T = decltype(value);
    launch(device, {products.images * products.room.groups, kThreads, 0},
           ChannelSoftmaxKernel<T>{products.room, scale, sums, static_cast<T*>(weights)});
  });
}

void channel_mix(Device& device, const ChannelProducts& products, Operand type, const void* weights,
                 void* y) {
  const ChannelRoom& room = products.room;
  expect_room(device, mix_bytes(room), "attention between so many channels of a group");
  with_channels(products, type, [&](auto value, auto in, auto width) {
    using T = decltype(value);
    launch(device, {channel_blocks(products), kChannelWarps * 32, mix_bytes(room)},
           ChannelMixKernel<T, decltype(in), width()>{products, static_cast<const T*>(weights),
                                                      static_cast<T*>(y), to_tiles(room.groups * room.dim)});
  });
}

void multiply_plainly(Device& device, const PlainProduct& product, Operand type, Operand result) {
  const int64_t tiles = divide_up(product.out, kTile) * divide_up(product.rows, kTile);
  const Launch shape{divide_up(tiles, kWarps), kThreads, int64_t{kWarps} * kTile * (kTile + 4) * 4};
  const auto start = [&](auto value, auto out) {
    launch(device, shape, PlainProductKernel<decltype(value), decltype(out)>{product});
  };
  if (type == Operand::f8)
    return result == Operand::f32 ? start(Float8{}, float{}) : start(Float8{}, BFloat16{});
  with_type(type, [&](auto value) { result == Operand::f32 ? start(value, float{}) : start(value, value); });
}

void round_to_f8(Device& device, const Rounding& rounding, void* y, float* factors) {
  with_type(rounding.x.type, [&](auto value) {
    launch(device, {divide_up(rounding.rows, kWarps), kThreads, 0},
           RoundingKernel<decltype(value)>{rounding, static_cast<Float8*>(y), factors});
  });
}

void add_bias(Device& device, const BiasRows& bias, float* c) {
  for_each(device, bias.rows * bias.cols, AddBias{bias, c});
}

void mean_tokens(Device& device, const float* x, int64_t batch, int64_t tokens, int64_t channels, float* y) {
  for_each(device, batch * channels, MeanToken{x, tokens, channels, y});
}

void l2_normalise(Device& device, float* x, int64_t rows, int64_t cols) {
  launch(device, {divide_up(rows, kWarps), kThreads, 0}, NormaliseKernel{x, rows, cols});
}

}  // namespace mii::cuda
