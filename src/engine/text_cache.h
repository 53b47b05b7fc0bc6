#pragma once

#include <algorithm>
#include <cstddef>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mii/engine.h"

namespace mii {

/// Remembers the vectors of texts, the least recently used dropped first. Safe to use from several threads.
class TextCache {
 public:
  explicit TextCache(size_t capacity) : capacity_(capacity) {}

  /// Copies the vector of a text; false when it is not known.
  bool find(const std::string& text, std::span<float> vector) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(text);
    if (found == index_.end()) {
      ++counts_.misses;
      return false;
    }
    ++counts_.hits;
    entries_.splice(entries_.begin(), entries_, found->second);
    std::ranges::copy(found->second->second, vector.begin());
    return true;
  }

  TextCacheCounts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

  void insert(const std::string& text, std::span<const float> vector) {
    if (capacity_ == 0) return;
    const std::lock_guard lock(mutex_);
    if (index_.contains(text)) return;
    entries_.emplace_front(text, std::vector<float>(vector.begin(), vector.end()));
    index_.emplace(text, entries_.begin());
    if (entries_.size() <= capacity_) return;
    index_.erase(entries_.back().first);
    entries_.pop_back();
  }

 private:
  using Entry = std::pair<std::string, std::vector<float>>;

  const size_t capacity_;
  mutable std::mutex mutex_;
  TextCacheCounts counts_;                                             // guarded by mutex_
  std::list<Entry> entries_;                                           // guarded by mutex_, latest first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;  // guarded by mutex_
};

}  // namespace mii
