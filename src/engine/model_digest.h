#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "weights/model_folder.h"

namespace mii {

/// SHA-256 of a file that is remembered, for the next program too, as long as the file's path, size, time of
/// modification and inode stay the same: in $XDG_CACHE_HOME/mii or ~/.cache/mii, where there is one that can
/// be written. Throws as sha256_of_file does.
std::string remembered_sha256(const std::filesystem::path& file, const std::function<bool()>& cancelled = {});

/// The digests of a model folder's parts: computed when they are first asked for, not when a model is opened.
class ModelDigest {
 public:
  explicit ModelDigest(ModelFolder folder) : folder_(std::move(folder)) {}

  struct Parts {
    std::string weights, config, tokenizer;
  };
  /// Throws Error{io}; Error{cancelled} when `cancelled`, asked now and then, says so. Safe to call from
  /// several threads.
  const Parts& parts(const std::function<bool()>& cancelled = {});

 private:
  const ModelFolder folder_;
  std::once_flag once_;
  Parts parts_;
};

}  // namespace mii
