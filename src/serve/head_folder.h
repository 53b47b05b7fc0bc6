#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "heads/fitted_head.h"

namespace mii::serve {

/// The heads of --heads FOLDER: each NAME.head in it, by its name.
class HeadFolder {
 public:
  using Shared = std::shared_ptr<const heads::FittedHead>;

  /// No heads.
  HeadFolder() = default;
  /// Throws Error{io} for a folder that cannot be listed, and as heads::read_head does;
  /// Error{invalid_argument} for more heads than a folder may have.
  static HeadFolder read(const std::filesystem::path& folder);

  /// Null when there is none of this name.
  Shared find(std::string_view name) const;
  const std::map<std::string, Shared, std::less<>>& all() const { return heads_; }

 private:
  std::map<std::string, Shared, std::less<>> heads_;
};

}  // namespace mii::serve
