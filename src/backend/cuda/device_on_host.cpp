#include "backend/cuda/device_on_host.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "mii/error.h"

namespace mii::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr int kDevices = 2;

struct HostRecord final : Record {
  std::vector<std::function<void()>> steps;
};

}  // namespace

class HostSideStream final : public SideStream {
 public:
  explicit HostSideStream(HostDevice& device) : device_(device) {}

  void copy_in(const void* from, void* to, int64_t bytes) override {
    device_.expect_working();
    if (being_read_) throw Error(ErrorCode::internal, "a copy to where images are still read");
    const auto* first = static_cast<const std::byte*>(from);
    device_.send({this, to, std::vector<std::byte>(first, first + bytes)});
  }
  void hand_over() override {
    device_.expect_working();
    look_for_others();
    device_.arrive(this);
    being_read_ = true;
  }
  void take_back() noexcept override { being_read_ = false; }

 private:
  void look_for_others() {
    HostDevice::Faults& faults = HostDevice::faults();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (faults.others_behind < faults.others_to_wait_for && !device_.others_are_coming(this) &&
           std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (device_.others_are_coming(this)) ++faults.others_behind;
  }

  HostDevice& device_;
  bool being_read_ = false;
};

void HostDevice::send(SideCopy copy) {
  const std::lock_guard lock(mutex_);
  side_copies_.push_back(std::move(copy));
}

void HostDevice::arrive(const SideStream* by) {
  const std::lock_guard lock(mutex_);
  std::erase_if(side_copies_, [&](const SideCopy& copy) {
    if (by != nullptr && by != copy.by) return false;
    std::memcpy(copy.to, copy.bytes.data(), copy.bytes.size());
    return true;
  });
}

bool HostDevice::others_are_coming(const SideStream* than) {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(side_copies_, [&](const SideCopy& copy) { return copy.by != than; });
}

std::unique_ptr<SideStream> HostDevice::make_side_stream() { return std::make_unique<HostSideStream>(*this); }

HostDevice::Faults& HostDevice::faults() {
  static Faults all;
  return all;
}

void HostDevice::expect_working() const {
  if ((faults().lost >> index_ & 1) != 0) throw Error(ErrorCode::device_lost, "the device was lost as told");
}

// A real stream refuses it, too.
void HostDevice::expect_not_recording(const char* what) const {
  expect_working();
  if (recorder_ == std::this_thread::get_id())
    throw Error(ErrorCode::internal, std::string(what) + " while recording");
}

// Full of NaN, as nothing may count on what was in it.
void* HostDevice::allocate(int64_t bytes) {
  expect_not_recording("an allocation");
  if (used_bytes() + bytes > total_bytes())
    throw Error(ErrorCode::out_of_memory, "more than this device has");
  const size_t rounded = (static_cast<size_t>(bytes) + kAlignment) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr) throw Error(ErrorCode::out_of_memory, "no memory");
  return std::memset(memory, 0xFF, rounded);
}

void HostDevice::free(void* memory) noexcept {
  arrive(nullptr);
  std::free(memory);
}

void HostDevice::zero(void* to, int64_t bytes) {
  run([=] { std::memset(to, 0, static_cast<size_t>(bytes)); });
}

void HostDevice::copy_in(const void* from, void* to, int64_t bytes) {
  expect_not_recording("a copy");
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void HostDevice::copy_out(const void* from, void* to, int64_t bytes) { copy_in(from, to, bytes); }

void HostDevice::run(std::function<void()> work) {
  expect_working();
  if (recording_ != nullptr)
    recording_->push_back(std::move(work));
  else
    work();
}

std::unique_ptr<Record> HostDevice::record(const std::function<void()>& work) {
  expect_not_recording("a recording");
  auto record = std::make_unique<HostRecord>();
  recording_ = &record->steps;
  recorder_ = std::this_thread::get_id();
  const auto stop = [&] {
    recorder_ = std::thread::id();
    recording_ = nullptr;
  };
  try {
    work();
    if (faults().recordings_to_fail > 0) {
      --faults().recordings_to_fail;
      throw Error(ErrorCode::internal, "not recorded as told");
    }
  } catch (...) {
    stop();
    throw;
  }
  stop();
  ++faults().records;
  return record;
}

void HostDevice::play(const Record& record) {
  ++faults().plays;
  for (const auto& step : static_cast<const HostRecord&>(record).steps) run(step);
}

std::shared_ptr<Device> Device::open(int index) {
  if (index < 0 || index >= kDevices)
    throw Error(ErrorCode::unsupported,
                "no device " + std::to_string(index) + ", there are " + std::to_string(kDevices));
  return std::make_shared<HostDevice>(index);
}
std::string Device::obstacle() { return {}; }
int Device::count() { return kDevices; }
bool Device::multiplies_f8(int) { return true; }

}  // namespace mii::cuda
