#pragma once

#include <filesystem>
#include <future>
#include <memory>
#include <mutex>

#include "image/frame_source.h"

namespace mii::pipeline {

/// Opens files for readers on several threads. The last one stays open: of a file with many frames that are
/// asked for one after another, all come from one reading.
class OpenFiles {
 public:
  explicit OpenFiles(const DecodeLimits& limits) : limits_(limits) {}

  /// Throws as FrameSource::read does, to everyone who asks for that file.
  std::shared_ptr<const FrameSource> open(const std::filesystem::path& path);

  /// As FrameSource::image, naming the file in what it throws.
  Image image(const std::filesystem::path& path, const DecodeOptions& options);

 private:
  using Opened = std::shared_future<std::shared_ptr<const FrameSource>>;

  const DecodeLimits limits_;
  std::mutex mutex_;
  std::filesystem::path last_path_;  // guarded by mutex_
  Opened last_;                      // guarded by mutex_
};

}  // namespace mii::pipeline
