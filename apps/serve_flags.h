#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "model_flags.h"
#include "serve/options.h"

namespace mii {

/// What `mii serve` is told. Each option is also an environment variable and a line of the configuration
/// file; a flag goes before the environment, the environment before the file.
struct ServeFlags {
  ModelFlags model;
  serve::ServeOptions options;
  std::string config;
  std::string log_file;  ///< empty: stderr

  void add_to(CLI::App& command);
  /// Fills in from the configuration file what neither flag nor environment gave. Call once the command line
  /// was read. Throws CLI::ParseError for a line that is wrong, naming it.
  void read_config(CLI::App& command);
};

}  // namespace mii
