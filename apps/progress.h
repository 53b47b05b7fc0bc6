#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace mii {

/// A line on a terminal that shows how far the work is, its rate and the time left. Silent in a pipe.
class Progress {
 public:
  Progress(size_t total, std::string unit, bool quiet);
  ~Progress();
  void advance(size_t n);

 private:
  void draw() const;

  size_t total_;
  size_t done_ = 0;
  std::string unit_;
  bool shown_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace mii
