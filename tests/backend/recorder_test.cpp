#include "backend/cuda/recorder.h"

#include <gtest/gtest.h>

#include <memory>

#include "backend/cuda/device_on_host.h"
#include "backend/cuda/kernels.h"
#include "mii/error.h"

namespace mii::cuda {
namespace {

// Normalises a row where it lies, in memory that grows with what is asked for.
class Work {
 public:
  explicit Work(const std::shared_ptr<Device>& device) : device_(device), row_(device, sizeof(float)) {}

  void upload(float value) const { device_->copy_in(&value, row_.as(), sizeof(value)); }
  float result() const {
    float value = 0;
    device_->copy_out(row_.as(), &value, sizeof(value));
    return value;
  }
  /// Asks for so many bytes of scratch memory first.
  void operator()(int64_t scratch = 16) {
    ++calls;
    scratch_.reserve(device_, scratch);
    l2_normalise(*device_, row_.as<float>(), 1, 1);
  }

  int calls = 0;

 private:
  std::shared_ptr<Device> device_;
  Memory row_;
  Memory scratch_;
};

class RecorderTest : public testing::Test {
 protected:
  // The sign of a value, by the recorder.
  float sign(float value, int64_t scratch = 16) {
    work_.upload(value);
    recorder_.repeat(this, 1, [&] { work_(scratch); });
    return work_.result();
  }

  const std::shared_ptr<Device> device_ = std::make_shared<HostDevice>(0);
  Recorder recorder_{*device_};
  Work work_{device_};
};

TEST_F(RecorderTest, WorkIsCalledUntilItAllocatesNothingTwiceThenRecordedThenPlayed) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sign(i % 2 == 0 ? 7 : -7), i % 2 == 0 ? 1 : -1) << i;
  EXPECT_EQ(work_.calls, 4) << "one that allocates, two that do not, one that is recorded";
}

TEST_F(RecorderTest, MemoryThatIsFreedMakesARecordStale) {
  for (int i = 0; i < 10; ++i) sign(7);
  const int calls = work_.calls;
  { const Memory other(device_, 16); }
  EXPECT_EQ(sign(-7), -1);
  EXPECT_EQ(work_.calls, calls + 1);
  const Memory kept(device_, 16);  // which takes nobody's place
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sign(-7), -1);
  EXPECT_EQ(work_.calls, calls + 3) << "a second quiet one, and one that is recorded";
}

TEST_F(RecorderTest, WorkThatAllocatesWhileItIsRecordedIsDoneInstead) {
  for (int i = 0; i < 3; ++i) sign(7);
  EXPECT_EQ(sign(-7, 1 << 20), -1);
  EXPECT_EQ(work_.calls, 5) << "the recording failed, so it was called once more";
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sign(-7, 1 << 20), -1);
  EXPECT_EQ(work_.calls, 10) << "no recording is tried again";
}

TEST_F(RecorderTest, EachOwnerAndSizeHasItsOwnRecord) {
  int other_calls = 0;
  for (int i = 0; i < 10; ++i) {
    sign(7);
    recorder_.repeat(&other_calls, 1, [&] { ++other_calls; });
    recorder_.repeat(this, 2, [&] { ++other_calls; });
  }
  EXPECT_EQ(work_.calls, 4);
  EXPECT_EQ(other_calls, 2 * 3) << "two quiet ones and one that is recorded";
}

TEST_F(RecorderTest, HoldsABoundedNumberOfRecords) {
  for (int round = 0; round < 5; ++round)
    for (int64_t size = 0; size < 100; ++size) recorder_.repeat(&size, size, [] {});
  EXPECT_EQ(sign(7), 1);
}

TEST_F(RecorderTest, ALostDeviceIsSaidByWhoIsRecorded) {
  for (int i = 0; i < 3; ++i) sign(7);
  HostDevice::faults().lost = 1;
  EXPECT_THROW(recorder_.repeat(this, 1, [&] { work_(); }), Error);
  HostDevice::faults().lost = 0;
}

}  // namespace
}  // namespace mii::cuda
