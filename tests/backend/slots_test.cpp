#include "backend/cuda/slots.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/cuda/device_on_host.h"
#include "mii/error.h"

namespace mii::cuda {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class SlotsTest : public testing::Test {
 protected:
  ~SlotsTest() override {
    faults_.memory_limit = int64_t{1} << 33;
    faults_.lost = 0;
  }

  std::unique_ptr<SentImages> send(size_t images) {
    const std::vector<ImageBytes> batch(images, ImageBytes{image_});
    return slots_->send(batch);
  }
  void expect_error(ErrorCode code, size_t images) {
    try {
      send(images);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  }

  static constexpr int64_t kBytes = 300;
  HostDevice::Faults& faults_ = HostDevice::faults();
  const std::vector<uint8_t> image_ = std::vector<uint8_t>(kBytes, 7);
  const std::shared_ptr<Device> device_ = std::make_shared<HostDevice>(0);
  const std::shared_ptr<Slots> slots_ = std::make_shared<Slots>(device_);
};

TEST_F(SlotsTest, WhoFindsAllTakenWaitsUntilOneIsGivenBack) {
  auto first = send(1), second = send(1);
  auto third = std::async(std::launch::async, [&] { return send(1); });
  EXPECT_EQ(third.wait_for(50ms), std::future_status::timeout);
  first.reset();
  ASSERT_EQ(third.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(third.get()->size(), 1u);
}

TEST_F(SlotsTest, ASingleSenderNeedsTheMemoryOfItsLargestBatch) {
  for (const size_t images : {1, 3, 2, 3, 1}) send(images);
  EXPECT_EQ(device_->used_bytes(), 3 * kBytes);
  const auto held = send(1);
  send(2);
  EXPECT_EQ(device_->used_bytes(), 5 * kBytes);
}

TEST_F(SlotsTest, MemoryOfThoseThatAreReadIsNotGivenBack) {
  const auto held = send(3);
  send(2);
  slots_->free_memory();
  EXPECT_EQ(device_->used_bytes(), 3 * kBytes);
}

// Were one not given back, the third try would wait for ever.
TEST_F(SlotsTest, FailuresGiveThemBack) {
  faults_.memory_limit = 2 * kBytes;
  for (int i = 0; i < 3; ++i) expect_error(ErrorCode::out_of_memory, 3);
  EXPECT_EQ(send(2)->size(), 2u);
  faults_.lost = 1;
  for (int i = 0; i < 3; ++i) expect_error(ErrorCode::device_lost, 1);
  faults_.lost = 0;
  EXPECT_EQ(send(2)->size(), 2u);
}

TEST_F(SlotsTest, ABatchThatIsNeverReadLeavesNothingBehind) {
  for (const size_t images : {1, 2, 3}) send(images);  // memory is freed under what was on its way
  const auto read = send(3);
  const DeviceImages::Reading reading(static_cast<const DeviceImages&>(*read));
  EXPECT_EQ(static_cast<const DeviceImages&>(*read).images()[2].rgb[kBytes - 1], 7);
}

TEST_F(SlotsTest, ImagesMayOutliveTheirBackend) {
  auto backend = device_backend().make({.precision = Precision::f32});
  EXPECT_EQ(backend->batches_at_once(), 2);
  const ImageBytes image{image_};
  const auto sent = backend->send_images({&image, 1});
  backend.reset();
  EXPECT_EQ(sent->size(), 1u);
}

}  // namespace
}  // namespace mii::cuda
