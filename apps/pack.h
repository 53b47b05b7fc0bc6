#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

#include "pipeline/make_pack.h"

namespace mii {

/// The flags that `mii pack` and `mii train` share. Their defaults are for a pack that stays where it was
/// made; `mii pack`, whose packs are moved, has smaller ones.
struct PackFlags {
  pipeline::PackOptions pack;
  bool quiet = false;
};

void add_pack_flags(CLI::App& command, PackFlags& flags);

/// Writes the pack; returns an ExitStatus.
int write_pack(const PackFlags& flags, const std::filesystem::path& out);

}  // namespace mii
