#pragma once

#include <unistd.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "mii/error.h"

namespace mii::python {

/// An object of the library that Python holds until close(). A call that runs keeps it alive. It has threads
/// or open files of its own, which a forked process does not have: there it can be neither used nor ended.
template <typename T>
class Guarded {
 public:
  /// what: for errors, "the engine".
  Guarded(std::string what, std::shared_ptr<T> object) : what_(std::move(what)), object_(std::move(object)) {}
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { close(); }

  /// Throws Error{invalid_argument} after close(), Error{unsupported} in a forked process.
  std::shared_ptr<T> get() const {
    const std::lock_guard lock(mutex_);
    if (forked())
      throw Error(ErrorCode::unsupported,
                  what_ + " was opened by process " + std::to_string(process_) + " and is used by process " +
                      std::to_string(getpid()) +
                      ", which was forked from it: open it there, or start processes by 'spawn'");
    if (!object_) throw Error(ErrorCode::invalid_argument, what_ + " is closed");
    return object_;
  }

  bool closed() const {
    const std::lock_guard lock(mutex_);
    return !object_;
  }

  void close() {
    std::shared_ptr<T> ended;
    const std::lock_guard lock(mutex_);
    ended.swap(object_);
    if (ended && forked()) new std::shared_ptr<T>(std::move(ended));  // never ended
  }

 private:
  bool forked() const { return getpid() != process_; }

  const std::string what_;
  const pid_t process_ = getpid();
  mutable std::mutex mutex_;
  std::shared_ptr<T> object_;
};

}  // namespace mii::python
