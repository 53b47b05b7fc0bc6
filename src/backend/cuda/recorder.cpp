#include "backend/cuda/recorder.h"

#include "backend/cuda/switch.h"
#include "mii/error.h"

namespace mii::cuda {

Recorder::Recorder(Device& device) : device_(device), records_(is_on("MII_CUDA_GRAPHS")) {}

void Recorder::repeat(const void* owner, int64_t size, const std::function<void()>& work) {
  if (!records_) return work();
  const std::pair key(owner, size);
  if (!entries_.contains(key) && entries_.size() >= kMostRecords) entries_.clear();
  Entry& entry = entries_[key];
  if (entry.frees != device_.frees()) entry = {};
  if (entry.record == nullptr && entry.quiet == kQuietBefore) entry.record = try_to_record(work);
  if (entry.record != nullptr)
    device_.play(*entry.record);
  else
    do_it(entry, work);
}

void Recorder::do_it(Entry& entry, const std::function<void()>& work) {
  const int64_t allocations = device_.allocations();
  work();
  entry.quiet = device_.allocations() == allocations ? entry.quiet + 1 : 0;
  entry.frees = device_.frees();
}

std::unique_ptr<Record> Recorder::try_to_record(const std::function<void()>& work) {
  try {
    return device_.record(work);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::device_lost) throw;
    records_ = false;
    return nullptr;
  }
}

}  // namespace mii::cuda
