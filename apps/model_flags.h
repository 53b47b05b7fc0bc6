#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "mii/engine.h"

namespace mii {

/// The flags with which every command that computes opens its model.
struct ModelFlags {
  std::string model;
  std::string precision = "auto";
  std::string backend = "cpu";
  int threads = 0;
  bool quiet = false;

  void add_to(CLI::App& command);
  /// Warnings go to stderr unless quiet. cache_texts = false: every text is computed again (for
  /// measurements).
  Engine open(bool cache_texts = true) const;
};

}  // namespace mii
