#include "serve/head_cache.h"

#include "core/sha256.h"

namespace mii::serve {
namespace {

// Whatever the texts hold, two lists give the same bytes only if they are equal.
void add(Sha256& hash, std::span<const std::string> texts) {
  hash.add(std::to_string(texts.size()) + ':');
  for (const std::string& text : texts) {
    hash.add(std::to_string(text.size()) + ':');
    hash.add(text);
  }
}

size_t bytes_of(const ZeroShotHead& head) {
  constexpr size_t kEntryBytes = 512;  // about what the lists and the index take
  size_t bytes = kEntryBytes + head.label_vectors().values().size_bytes();
  for (const std::string& label : head.labels()) bytes += sizeof(std::string) + label.size();
  return bytes;
}

}  // namespace

std::string HeadCache::key(std::span<const std::string> labels, const ClassifyOptions& options) {
  Sha256 hash;
  add(hash, labels);
  add(hash, options.prompts);
  add(hash, options.templates);
  hash.add(options.multilabel ? "sigmoid" : "softmax");
  return hash.finish();
}

HeadCache::Shared HeadCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->head;
}

void HeadCache::insert(const std::string& key, Shared head) {
  const size_t bytes = bytes_of(*head);
  const std::lock_guard lock(mutex_);
  if (bytes > max_bytes_ || index_.contains(key)) return;
  entries_.push_front({key, std::move(head), bytes});
  index_.emplace(key, entries_.begin());
  bytes_ += bytes;
  while (bytes_ > max_bytes_) {
    bytes_ -= entries_.back().bytes;
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

size_t HeadCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace mii::serve
