#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
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
    /// How often images came to be computed while others had gone up behind them.
    std::atomic<int64_t> others_behind = 0;
    /// Until it was so often, images that come to be computed wait for others, ten seconds at the most.
    std::atomic<int64_t> others_to_wait_for = 0;
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
  std::unique_ptr<SideStream> make_side_stream() override;

  /// A kernel, or whatever else goes through the stream.
  void run(std::function<void()> work);

 private:
  friend class HostSideStream;
  static constexpr int64_t kSharedBytes = 227 << 10;  // Hopper's

  // Bytes on their way, as late as a device may take: they arrive when they are handed over, and before
  // memory is freed.
  struct SideCopy {
    const SideStream* by;
    void* to;
    std::vector<std::byte> bytes;
  };
  void send(SideCopy copy);
  // Of one side stream, or of all.
  void arrive(const SideStream* by);
  bool others_are_coming(const SideStream* than);

  void expect_working() const;
  void expect_not_recording(const char* what) const;

  int index_;
  std::vector<std::function<void()>>* recording_ = nullptr;
  std::atomic<std::thread::id> recorder_;  // other threads' calls are not in its way
  std::mutex mutex_;
  std::vector<SideCopy> side_copies_;  // guarded by mutex_; not there yet
};

}  // namespace mii::cuda
