#pragma once

#include <cstdint>

// Where things lie: the index arithmetic of the kernels, apart from them, so that tests on the host can try
// every case.

#ifdef __CUDACC__
#define MII_HOST_DEVICE __host__ __device__ inline
#else
#define MII_HOST_DEVICE inline
#endif

namespace mii::cuda {

/// Rows and columns of the tiles that a warp multiplies.
inline constexpr int kTile = 16;

MII_HOST_DEVICE constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
MII_HOST_DEVICE constexpr int64_t to_tiles(int64_t n) { return divide_up(n, kTile) * kTile; }

/// The tokens of one window or text: their rows in the activations.
struct TokenList {
  int64_t first = 0;     ///< row of token 0
  int64_t row_step = 0;  ///< from the first token of a line to that of the next
  int width = 1;         ///< tokens of a line
  int tokens = 0;
  int padding = 0;  ///< this many more, equal tokens take part as keys and values

  MII_HOST_DEVICE int64_t row(int i) const { return first + i / width * row_step + i % width; }
  /// All equal padding tokens are one key.
  MII_HOST_DEVICE int keys() const { return tokens + (padding > 0 ? 1 : 0); }
};

/// The windows of a grid of tokens, row by row, image by image.
struct WindowLists {
  int64_t height;
  int64_t width;
  int window;

  MII_HOST_DEVICE int64_t across() const { return divide_up(width, window); }
  MII_HOST_DEVICE int64_t each_image() const { return across() * divide_up(height, window); }
  /// The most keys that a list has.
  MII_HOST_DEVICE int64_t most_keys() const {
    const int64_t tokens = (height < window ? height : window) * (width < window ? width : window);
    return tokens < int64_t{window} * window ? tokens + 1 : tokens;
  }
  MII_HOST_DEVICE TokenList at(int64_t list) const {
    const int64_t image = list / each_image();
    const int64_t top = list % each_image() / across() * window;
    const int64_t left = list % across() * window;
    const int64_t lines = height - top < window ? height - top : window;
    const int64_t columns = width - left < window ? width - left : window;
    TokenList tokens;
    tokens.first = (image * height + top) * width + left;
    tokens.row_step = width;
    tokens.width = static_cast<int>(columns);
    tokens.tokens = static_cast<int>(lines * columns);
    tokens.padding = window * window - tokens.tokens;
    return tokens;
  }
};

/// Texts, one after another.
struct TextLists {
  const int64_t* offsets;  ///< [texts + 1]

  MII_HOST_DEVICE TokenList at(int64_t list) const {
    TokenList tokens;
    tokens.first = offsets[list];
    tokens.tokens = static_cast<int>(offsets[list + 1] - offsets[list]);
    tokens.width = tokens.tokens > 0 ? tokens.tokens : 1;
    return tokens;
  }
};

/// The patches of a convolution: patch r, from the top left of the first image on, is [size, size, channels]
/// values.
struct PatchPlaces {
  int64_t height;
  int64_t width;
  int64_t down;    ///< patches of a column
  int64_t across;  ///< patches of a row
  int size;
  int stride;
  int padding;

  struct Source {
    int64_t row;  ///< of the input; -1 outside the image
  };
  /// Where line v and column u of patch r come from.
  MII_HOST_DEVICE Source source(int64_t r, int v, int u) const {
    const int64_t image = r / (down * across);
    const int64_t y = r / across % down * stride - padding + v;
    const int64_t x = r % across * stride - padding + u;
    if (y < 0 || y >= height || x < 0 || x >= width) return {-1};
    return {(image * height + y) * width + x};
  }
};

/// How a block of threads attends: tiles of queries, keys and values of a list in shared memory, and scores
/// for a strip of 16 queries of each warp.
struct AttentionRoom {
  int keys;         ///< the most that a list has
  int dim;          ///< of a head
  int value_bytes;  ///< of an operand of the products: 2 or 4
  int warps;        ///< over which the strips of queries are spread

  MII_HOST_DEVICE int padded_keys() const { return static_cast<int>(to_tiles(keys)); }
  MII_HOST_DEVICE int padded_dim() const { return static_cast<int>(to_tiles(dim)); }
  /// From row to row of queries, keys and values: 16 bytes more than a whole number of tiles, so that the
  /// rows of a tile lie in different banks.
  MII_HOST_DEVICE int stride() const { return padded_dim() + 16 / value_bytes; }
  MII_HOST_DEVICE int score_stride() const {
    return (padded_keys() > padded_dim() ? padded_keys() : padded_dim()) + 4;
  }
  MII_HOST_DEVICE int weight_stride() const { return padded_keys() + 16 / value_bytes; }
  // Offsets in bytes: q, k, v, then scores, weights and their sums of each warp.
  MII_HOST_DEVICE int64_t matrix_bytes() const { return int64_t{padded_keys()} * stride() * value_bytes; }
  MII_HOST_DEVICE int64_t scores() const { return 3 * matrix_bytes(); }
  MII_HOST_DEVICE int64_t score_bytes() const { return int64_t{kTile} * score_stride() * 4; }
  MII_HOST_DEVICE int64_t weights() const { return scores() + warps * score_bytes(); }
  MII_HOST_DEVICE int64_t weight_bytes() const { return int64_t{kTile} * weight_stride() * value_bytes; }
  MII_HOST_DEVICE int64_t sums() const { return weights() + warps * weight_bytes(); }
  MII_HOST_DEVICE int64_t bytes() const { return sums() + int64_t{warps} * kTile * 4; }
};

/// How channel attention splits: parts of an image's tokens, and square matrices of a group's channels.
struct ChannelRoom {
  int64_t tokens;  ///< of an image
  int64_t groups;
  int dim;          ///< channels of a group
  int part;         ///< tokens of a part, a multiple of 16
  int value_bytes;  ///< of an operand of the products

  MII_HOST_DEVICE int padded_dim() const { return static_cast<int>(to_tiles(dim)); }
  MII_HOST_DEVICE int stride() const { return padded_dim() + 16 / value_bytes; }
  MII_HOST_DEVICE int64_t parts() const { return divide_up(tokens, part); }
  MII_HOST_DEVICE int64_t square() const { return int64_t{padded_dim()} * padded_dim(); }
  MII_HOST_DEVICE int64_t matrix_bytes() const { return int64_t{part} * stride() * value_bytes; }
  MII_HOST_DEVICE int strip_stride() const { return padded_dim() + 4; }

  struct Place {
    int64_t image_group;  ///< image * groups + group
    int64_t group;
    int64_t first;  ///< row of the part's first token
    int count;      ///< of its tokens
  };
  /// Parts of a group follow each other, groups of an image, images.
  MII_HOST_DEVICE Place at(int64_t block) const {
    const int64_t p = block % parts();
    const int64_t image_group = block / parts();
    const int64_t left = tokens - p * part;
    return {image_group, image_group % groups, image_group / groups * tokens + p * part,
            static_cast<int>(left < part ? left : part)};
  }
};

}  // namespace mii::cuda
