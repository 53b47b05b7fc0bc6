#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "model_flags.h"
#include "serve/options.h"

namespace mii {

/// The options of `mii serve`. Each option is also an environment variable and a line of the configuration
/// file; a flag takes precedence over the environment, and the environment over the file.
struct ServeFlags {
  ModelFlags model;
  serve::ServeOptions options;
  std::vector<int> devices{0};
  std::string config;
  std::string log_file;  ///< empty: stderr

  void add_to(CLI::App& command);
  /// Fills in from the configuration file what neither flag nor environment gave. Call once the command line
  /// was read. Throws CLI::ParseError for a line that is wrong, naming it.
  void read_config(CLI::App& command);
};

}  // namespace mii
