#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "search/collection.h"

namespace mii::search {

/// What one search asked for and was given.
struct AuditEntry {
  std::string time;    ///< UTC, "2026-11-28T04:30:00Z"
  std::string caller;  ///< in any words
  std::string query;   ///< SHA-256 of the query's vector, or of those of its slices, float32, little-endian
  std::string filter;
  uint64_t version = 0;  ///< of the collection
  std::vector<std::string> ids;
};

/// The table of searches of a folder's collection, in audit.sqlite. It stays when the collection is written
/// anew, and holds no image and no vector. Several processes may add to it.
class AuditLog {
 public:
  /// Throws Error{io}.
  explicit AuditLog(const std::filesystem::path& folder);
  /// Durable when it returns.
  void add(const AuditEntry& entry);
  std::vector<AuditEntry> entries();

 private:
  std::filesystem::path path_;
};

/// Of a search that was made now.
AuditEntry audit_entry(const std::string& caller, std::span<const float> query, const SearchOptions& options,
                       const Answer& answer);

}  // namespace mii::search
