#include "engine/batch_size.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace mii {
namespace {

using Batches = std::vector<std::pair<size_t, size_t>>;

// A device whose memory holds so many items.
struct Device {
  size_t holds;
  Batches computed;

  void compute(size_t first, size_t n) {
    if (n > holds) throw Error(ErrorCode::out_of_memory, "full");
    computed.emplace_back(first, n);
  }
};

void run(BatchSize& size, size_t total, Device& device, std::vector<size_t>& shrunk) {
  size.each_batch(
      total, [&](size_t first, size_t n) { device.compute(first, n); },
      [&](size_t to) { shrunk.push_back(to); });
}

TEST(BatchSize, IsHalvedUntilTheMemoryHoldsABatchAndStaysSo) {
  BatchSize size(16);
  Device device{5, {}};
  std::vector<size_t> shrunk;
  run(size, 10, device, shrunk);
  EXPECT_EQ(device.computed, (Batches{{0, 5}, {5, 5}}));
  EXPECT_EQ(shrunk, std::vector<size_t>{5});
  device.holds = 3;
  run(size, 6, device, shrunk);
  EXPECT_EQ(device.computed, (Batches{{0, 5}, {5, 5}, {0, 2}, {2, 2}, {4, 2}}));
  EXPECT_EQ(shrunk, (std::vector<size_t>{5, 2}));
  EXPECT_EQ(size.get(), 2u);
}

TEST(BatchSize, OneItemThatDoesNotFitIsAnError) {
  BatchSize size(4);
  Device device{0, {}};
  std::vector<size_t> shrunk;
  EXPECT_THROW(run(size, 3, device, shrunk), Error);
  EXPECT_EQ(size.get(), 1u);
}

TEST(BatchSize, OtherErrorsAreNotTriedAgain) {
  BatchSize size(4);
  int calls = 0;
  EXPECT_THROW(size.each_batch(
                   4,
                   [&](size_t, size_t) {
                     ++calls;
                     throw Error(ErrorCode::device_lost, "gone");
                   },
                   [](size_t) {}),
               Error);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace mii
