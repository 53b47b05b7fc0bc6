#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mii/engine.h"

namespace mii {

/// The folder of the model that comes with the program: where `make install` puts it, else in the source
/// tree. Throws Error{invalid_model} when neither is there.
std::filesystem::path built_in_model();

/// "auto" and the names of the precisions.
std::vector<std::string> precision_choices();

/// The flags with which every command that computes opens its model.
struct ModelFlags {
  std::string model;  ///< empty: the built-in one
  std::string precision = "auto";
  std::string backend = "auto";
  int threads = 0;
  bool quiet = false;

  void add_to(CLI::App& command);
  /// Warnings, and which model is used when none is named, go to stderr unless quiet. cache_texts = false:
  /// every text is computed again (for measurements). warn: takes the warnings instead, quiet or not.
  Engine open(bool cache_texts = true, const std::function<void(std::string_view)>& warn = {}) const;
};

}  // namespace mii
