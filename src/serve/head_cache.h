#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "mii/head.h"

namespace mii::serve {

/// The heads that were used last, bounded by their bytes: labels that are asked for again need no texts. Safe
/// to use from several threads.
class HeadCache {
 public:
  using Shared = std::shared_ptr<const ZeroShotHead>;

  explicit HeadCache(size_t max_bytes = size_t{64} << 20) : max_bytes_(max_bytes) {}

  /// The same for the same labels in the same templates.
  static std::string key(std::span<const std::string> labels, const ClassifyOptions& options);

  /// Null when it is not known.
  Shared find(const std::string& key);
  /// Does nothing with a head that is known already, or larger than the bound.
  void insert(const std::string& key, Shared head);

  size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    Shared head;
    size_t bytes;
  };

  const size_t max_bytes_;
  mutable std::mutex mutex_;
  size_t bytes_ = 0;                                                   // guarded by mutex_
  std::list<Entry> entries_;                                           // guarded by mutex_, latest first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;  // guarded by mutex_
};

}  // namespace mii::serve
