#include "pipeline/open_files.h"

#include "mii/error.h"

namespace mii::pipeline {

std::shared_ptr<const FrameSource> OpenFiles::open(const std::filesystem::path& path) {
  std::promise<std::shared_ptr<const FrameSource>> promise;
  {
    std::unique_lock lock(mutex_);
    if (last_.valid() && path == last_path_) {
      const Opened opened = last_;
      lock.unlock();
      return opened.get();
    }
    last_path_ = path;
    last_ = promise.get_future().share();
  }
  try {
    auto source = std::make_shared<const FrameSource>(FrameSource::read(path, limits_));
    promise.set_value(source);
    return source;
  } catch (...) {
    promise.set_exception(std::current_exception());
    throw;
  }
}

Image OpenFiles::image(const std::filesystem::path& path, const DecodeOptions& options) {
  const auto source = open(path);
  try {
    return source->image(options);
  } catch (const Error& error) {
    throw Error(error.code(), path.string() + ": " + error.what());
  }
}

}  // namespace mii::pipeline
