// The index arithmetic of the device's kernels, over every small case, and that their loops do not depend on
// their order: rounds of a loop run at once on a device.
#include "backend/cuda/places.h"

#include <gtest/gtest.h>

#include <vector>

#include "backend/cuda/block.h"
#include "backend/cuda/device.h"
#include "backend/cuda/kernels.h"

namespace mii::cuda {
namespace {

TEST(WindowLists, HaveTheTokensOfEachWindowInOrder) {
  for (int64_t height = 1; height <= 9; ++height)
    for (int64_t width = 1; width <= 9; ++width)
      for (int window = 1; window <= 10; ++window) {
        const WindowLists lists{height, width, window};
        int64_t list = 0;
        for (int64_t image = 0; image < 2; ++image)
          for (int64_t top = 0; top < height; top += window)
            for (int64_t left = 0; left < width; left += window, ++list) {
              const TokenList tokens = lists.at(list);
              int i = 0, padding = 0;
              for (int64_t y = top; y < top + window; ++y)
                for (int64_t x = left; x < left + window; ++x) {
                  if (y >= height || x >= width) {
                    ++padding;
                    continue;
                  }
                  ASSERT_LT(i, tokens.tokens);
                  ASSERT_EQ(tokens.row(i++), (image * height + y) * width + x);
                }
              ASSERT_EQ(i, tokens.tokens);
              ASSERT_EQ(padding, tokens.padding);
              ASSERT_LE(tokens.keys(), lists.most_keys());
            }
        ASSERT_EQ(list, 2 * lists.each_image());
      }
}

TEST(TextLists, AreTheRowsBetweenTwoOffsets) {
  const std::vector<int64_t> offsets{0, 3, 3, 10};
  const TextLists lists{offsets.data()};
  for (int64_t t = 0; t < 3; ++t) {
    const TokenList tokens = lists.at(t);
    ASSERT_EQ(tokens.tokens, offsets[t + 1] - offsets[t]);
    ASSERT_EQ(tokens.keys(), tokens.tokens);
    for (int i = 0; i < tokens.tokens; ++i) ASSERT_EQ(tokens.row(i), offsets[t] + i);
  }
}

TEST(PatchPlaces, AreThoseOfAPaddedImage) {
  for (int64_t height = 1; height <= 8; ++height)
    for (int64_t width = 1; width <= 8; ++width)
      for (int size = 1; size <= 5; ++size)
        for (int stride = 1; stride <= 3; ++stride)
          for (int padding = 0; padding < size; ++padding) {
            const int64_t down = (height + 2 * padding - size) / stride + 1;
            const int64_t across = (width + 2 * padding - size) / stride + 1;
            if (height + 2 * padding < size || width + 2 * padding < size) continue;
            const PatchPlaces places{height, width, down, across, size, stride, padding};
            int64_t r = 0;
            for (int64_t image = 0; image < 2; ++image)
              for (int64_t top = -padding; top + size <= height + padding; top += stride)
                for (int64_t left = -padding; left + size <= width + padding; left += stride, ++r)
                  for (int v = 0; v < size; ++v)
                    for (int u = 0; u < size; ++u) {
                      const int64_t y = top + v, x = left + u;
                      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
                      ASSERT_EQ(places.source(r, v, u).row, inside ? (image * height + y) * width + x : -1);
                    }
            ASSERT_EQ(r, 2 * down * across);
          }
}

TEST(ChannelRoom, PartsCoverEachGroupsTokensOnce) {
  for (int64_t tokens = 1; tokens <= 70; ++tokens)
    for (int64_t groups = 1; groups <= 3; ++groups) {
      const ChannelRoom room{tokens, groups, 8, 16, 2};
      int64_t block = 0;
      for (int64_t image = 0; image < 2; ++image)
        for (int64_t group = 0; group < groups; ++group)
          for (int64_t first = 0; first < tokens; first += 16, ++block) {
            const ChannelRoom::Place place = room.at(block);
            ASSERT_EQ(place.image_group, image * groups + group);
            ASSERT_EQ(place.group, group);
            ASSERT_EQ(place.first, image * tokens + first);
            ASSERT_EQ(place.count, std::min<int64_t>(16, tokens - first));
          }
      ASSERT_EQ(block, 2 * groups * room.parts());
    }
}

// A warp loads tiles from addresses that are multiples of 32 bytes, with strides of a multiple of 16.
TEST(AttentionRoom, TilesLieWhereAWarpCanLoadThem) {
  for (int keys = 1; keys <= 160; ++keys)
    for (int dim = 1; dim <= 70; ++dim)
      for (const int bytes : {2, 4}) {
        const AttentionRoom room{keys, dim, bytes, 3};
        for (const int64_t offset : {room.matrix_bytes(), room.scores(), room.score_bytes(), room.weights(),
                                     room.weight_bytes(), room.sums()})
          ASSERT_EQ(offset % 32, 0) << keys << " " << dim;
        ASSERT_EQ(room.stride() * bytes % 16, 0);
        ASSERT_EQ(room.weight_stride() * bytes % 16, 0);
        ASSERT_EQ(room.score_stride() * 4 % 16, 0);
        ASSERT_GE(room.score_stride(), std::max(room.padded_keys(), room.padded_dim()));
        ASSERT_EQ(room.bytes(), room.sums() + 3 * 16 * 4);
      }
}

TEST(AttentionRoom, TakesFewerWarpsWhereABlockHasLessRoom) {
  const auto device = Device::open(0);  // 227 KiB, as on Hopper
  const AttentionRoom published = attention_room(*device, 144, 32, Operand::bf16);
  EXPECT_EQ(published.warps, 5);
  EXPECT_LE(2 * (published.bytes() + 1024), 228 << 10) << "two blocks a multiprocessor";
  EXPECT_LE(attention_room(*device, 400, 32, Operand::f32).bytes(), device->shared_bytes());
}

}  // namespace
}  // namespace mii::cuda
