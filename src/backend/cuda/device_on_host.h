#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend/cuda/device.h"

namespace mii::cuda {

/// A device that is not one, for tests of what runs on one: its memory is the host's, its kernels are loops.
/// Of such devices there are two.
class HostDevice final : public Device {
 public:
  /// What goes wrong, on all of them, and what is counted. For tests.
  struct Faults {
    std::atomic<int64_t> memory_limit = int64_t{1} << 33;  ///< bytes of a device
    std::atomic<unsigned> lost = 0;                        ///< bit i: device i no longer works
    std::atomic<int> recordings_to_fail = 0;
    std::atomic<int64_t> records = 0, plays = 0;
  };
  static Faults& faults();

  explicit HostDevice(int index) : index_(index) {}

  std::string description() const override { return "loops on the host"; }
  void attach_thread() override { expect_working(); }
  int64_t shared_bytes() const override { return kSharedBytes; }
  int64_t total_bytes() const override { return faults().memory_limit; }

  void* allocate(int64_t bytes) override;
  void free(void* memory) noexcept override;
  void zero(void* to, int64_t bytes) override;
  void copy_in(const void* from, void* to, int64_t bytes) override;
  void copy_out(const void* from, void* to, int64_t bytes) override;
  std::unique_ptr<Record> record(const std::function<void()>& work) override;
  void play(const Record& record) override;

  /// A kernel, or whatever else goes through the stream.
  void run(std::function<void()> work);

 private:
  static constexpr int64_t kSharedBytes = 227 << 10;  // Hopper's

  void expect_working() const;
  void expect_not_recording(const char* what) const;

  int index_;
  std::vector<std::function<void()>>* recording_ = nullptr;
};

}  // namespace mii::cuda
