#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "backend/cuda/device.h"

namespace mii::cuda {

/// Work that comes again and again, put into the stream as a whole (a CUDA graph): starting its kernels one
/// by one takes the host longer than a device needs for a small batch.
///
/// Work is done as it is until it allocates nothing twice in a row (two buffers may have changed places),
/// then recorded, and played from then on. A record is good as long as the device frees no memory, on
/// whatever thread: images that go up on another may free some that no record names. Where recording fails,
/// none is tried again. The environment's MII_CUDA_GRAPHS=0 records nothing.
class Recorder {
 public:
  explicit Recorder(Device& device);

  /// See Backend::repeat.
  void repeat(const void* owner, int64_t size, const std::function<void()>& work);

 private:
  static constexpr size_t kMostRecords = 32;
  static constexpr int kQuietBefore = 2;

  struct Entry {
    int64_t frees = 0;  // of the device, when the work was last done
    int quiet = 0;      // times that it was done without an allocation, one after another
    std::unique_ptr<Record> record;
  };

  void do_it(Entry& entry, const std::function<void()>& work);
  std::unique_ptr<Record> try_to_record(const std::function<void()>& work);

  Device& device_;
  bool records_;
  std::map<std::pair<const void*, int64_t>, Entry> entries_;
};

}  // namespace mii::cuda
