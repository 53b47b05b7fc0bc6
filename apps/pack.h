#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

namespace mii {

/// How a manifest becomes a pack.
struct PackFlags {
  std::filesystem::path manifest;
  std::filesystem::path captions;   ///< empty: the ones that come with the program
  std::filesystem::path model;      ///< a model folder to go on from: its configuration and tokenizer
  std::filesystem::path config;     ///< else a configuration
  std::filesystem::path tokenizer;  ///< and a folder with vocab.json and merges.txt
  bool trim_vocabulary = false;
  std::vector<std::string> where;  ///< "column=value,value"
  size_t max_captions = 64;
  /// Images are kept this much larger than the model's input, so that crops stay sharp. This and the quality
  /// are for a pack that stays where it was made; `mii pack`, whose packs travel, has smaller ones of its
  /// own.
  size_t margin_percent = 50;
  int quality = 90;  ///< of their JPEG
  bool quiet = false;
};

/// The flags that `mii pack` and `mii train` share.
void add_pack_flags(CLI::App& command, PackFlags& flags);

/// Writes the pack; returns an ExitStatus.
int make_pack(const PackFlags& flags, const std::filesystem::path& out);

}  // namespace mii
