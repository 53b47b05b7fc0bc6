#include "backend/cuda/obstacle.h"

#include <gtest/gtest.h>

namespace mii::cuda {
namespace {

Machine with_an_h100() {
  Machine machine;
  machine.driver_version = 13010;
  machine.needed_version = 13000;
  machine.devices = 2;
  machine.name = "NVIDIA H100 80GB HBM3";
  machine.major = 9;
  return machine;
}

TEST(Obstacle, ADeviceThatIsThereAndNewEnoughIsNone) {
  EXPECT_EQ(obstacle(with_an_h100(), 0), "");
  EXPECT_EQ(obstacle(with_an_h100(), 1), "");
}

TEST(Obstacle, IsASentenceThatSaysWhatWasFoundAndExpected) {
  Machine machine = with_an_h100();
  EXPECT_EQ(obstacle(machine, 2), "no CUDA device 2, there are 2");
  machine.name = "Tesla V100", machine.major = 7, machine.minor = 0;
  EXPECT_EQ(obstacle(machine, 0), "Tesla V100 has compute capability 7.0, expected 8.0 or later");
  machine.devices = 0;
  EXPECT_EQ(obstacle(machine, 0), "no CUDA device");
  machine.failure = "system not yet initialized";
  EXPECT_EQ(obstacle(machine, 0), "CUDA: system not yet initialized");
}

TEST(Obstacle, ADriverThatIsTooOldOrMissingIsNamedFirst) {
  Machine machine;
  machine.driver_suffices = false;
  machine.driver_version = 12040;
  machine.needed_version = 13000;
  EXPECT_EQ(obstacle(machine, 0), "the NVIDIA driver supports CUDA 12.4, expected 13.0 or later");
  machine.driver_version = 0;
  EXPECT_EQ(obstacle(machine, 0), "no NVIDIA driver");
}

}  // namespace
}  // namespace mii::cuda
