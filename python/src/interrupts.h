#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <functional>
#include <optional>

namespace nb = nanobind;

namespace mii::python {

/// Lets Python's signal handlers (Ctrl-C) and a progress function in, now and then, while the library
/// computes without the GIL. Made, asked with rethrow() and ended with the GIL; all else without.
class Interrupts {
 public:
  /// progress: called as progress(done, total); None: nobody is told.
  Interrupts(nb::object progress, size_t total) : progress_(std::move(progress)), total_(total) {}

  void advance(size_t done) { done_ += done; }
  /// Whether Python has raised something, so that the work is to end.
  bool cancelled();
  std::function<bool()> asked() {
    return [this] { return cancelled(); };
  }

  /// Tells progress of the end, and throws what Python raised.
  void rethrow();

 private:
  void look();

  nb::object progress_;
  size_t total_;
  size_t done_ = 0;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
  std::optional<nb::python_error> raised_;
};

}  // namespace mii::python
