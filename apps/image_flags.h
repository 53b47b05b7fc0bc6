#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "decode_flags.h"
#include "pipeline/encode.h"
#include "pipeline/inputs.h"

namespace mii {

/// The flags that say which images a command takes, and how their files are read.
struct ImageFlags {
  std::vector<std::string> paths;
  std::string images_from;
  std::string manifest;
  std::vector<std::string> where;
  DecodeFlags decode;

  /// name: of the option with the paths, "images" or "--images".
  void add_to(CLI::App& command, const char* name);

  bool any() const { return !paths.empty() || !images_from.empty() || !manifest.empty(); }
  /// Throws CLI::ParseError unless there is something, from one source only.
  void expect_any() const;

  /// The files and folders that were named, by whichever flag, folders not walked.
  std::vector<std::string> all_paths() const;

  /// The images, frame by frame where all frames were asked for. Throws as find_images and Manifest::read do.
  pipeline::FoundImages find() const;

  pipeline::ImageSequence sequence(std::vector<pipeline::ImageInput> inputs) const {
    return images_of(std::move(inputs), decode.options());
  }
};

}  // namespace mii
