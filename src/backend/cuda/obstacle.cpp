#include "backend/cuda/obstacle.h"

namespace mii::cuda {
namespace {

// The oldest that this library's machine code and products of bfloat16 run on.
constexpr int kOldestMajor = 8;

}  // namespace

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string obstacle(const Machine& machine, int index) {
  if (!machine.driver_suffices && machine.driver_version == 0) return "no NVIDIA driver";
  if (!machine.driver_suffices)
    return "the NVIDIA driver supports CUDA " + version_text(machine.driver_version) + ", expected " +
           version_text(machine.needed_version) + " or later";
  if (!machine.failure.empty()) return "CUDA: " + machine.failure;
  if (machine.devices == 0) return "no CUDA device";
  if (index >= machine.devices)
    return "no CUDA device " + std::to_string(index) + ", there are " + std::to_string(machine.devices);
  if (machine.major < kOldestMajor)
    return machine.name + " has compute capability " + std::to_string(machine.major) + "." +
           std::to_string(machine.minor) + ", expected 8.0 or later";
  return {};
}

}  // namespace mii::cuda
