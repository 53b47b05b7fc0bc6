#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
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
/// "auto" and the names of the backends.
std::vector<std::string> backend_choices();
/// "auto: the best that can run here; cpu: ...; reference: ..."
std::string backend_help();

/// The flags with which every command that computes opens its model.
struct ModelFlags {
  std::string model;  ///< empty: the built-in one
  std::string precision = "auto";
  std::string backend = "auto";
  int threads = 0;
  std::string resize = "host";
  int device = 0;  ///< of the commands that choose one
  bool quiet = false;
  std::filesystem::path report_model;  ///< of the commands that write reports; empty: the model's own

  void add_to(CLI::App& command);
  /// The model's: the one named, or that of the built-in model.
  std::filesystem::path folder() const;
  /// Warnings, and which model is used when none is named, go to stderr unless quiet. cache_texts = false:
  /// every text is computed again (for measurements). warn: takes the warnings instead, quiet or not.
  Engine open(bool cache_texts = true, const std::function<void(std::string_view)>& warn = {}) const;
  /// To make more vectors beside those of an identity: with --precision auto in their precision.
  Engine open_beside(const std::optional<Identity>& identity) const;
  /// The same, which must make vectors like those of the identity, with images preprocessed as said. Throws
  /// Error{invalid_argument} that says what differs; small differences are a warning.
  Engine open_for(const std::optional<Identity>& identity, const std::string& preprocessing) const;
};

}  // namespace mii
