#include <cstring>

#include "backend/cuda/device.h"
#include "core/aligned_buffer.h"
#include "mii/error.h"

// A device that is not one, for tests of what runs on one.

namespace mii::cuda {
namespace {

class HostDevice final : public Device {
 public:
  std::string description() const override { return "loops on the host"; }
  void attach_thread() override {}
  int64_t shared_bytes() const override { return kSharedBytes; }
  int64_t total_bytes() const override { return int64_t{1} << 33; }

  // Full of NaN, as nothing may count on what was in it.
  void* allocate(int64_t bytes) override {
    if (bytes > total_bytes()) throw Error(ErrorCode::out_of_memory, "more than this device has");
    const auto rounded = (static_cast<size_t>(bytes) + kAlignment) / kAlignment * kAlignment;
    void* memory = std::aligned_alloc(kAlignment, rounded);
    if (memory == nullptr) throw Error(ErrorCode::out_of_memory, "no memory");
    return std::memset(memory, 0xFF, rounded);
  }
  void free(void* memory) noexcept override { std::free(memory); }

  void zero(void* to, int64_t bytes) override { std::memset(to, 0, static_cast<size_t>(bytes)); }
  void copy_in(const void* from, void* to, int64_t bytes) override {
    std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  void copy_out(const void* from, void* to, int64_t bytes) override { copy_in(from, to, bytes); }

 private:
  static constexpr size_t kAlignment = 256;
  static constexpr int64_t kSharedBytes = 227 << 10;  // Hopper's
};

}  // namespace

std::shared_ptr<Device> Device::open(int) { return std::make_shared<HostDevice>(); }
std::string Device::obstacle() { return {}; }

}  // namespace mii::cuda
