#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "search/collection.h"

namespace mii::search {

/// The table of searches of a folder's collection, in audit.sqlite. Several processes may add to it.
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
