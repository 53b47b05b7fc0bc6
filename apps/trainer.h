#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mii {

/// mii-train, which lies beside this program. Throws Error{unsupported} where it was not built.
std::filesystem::path trainer_path();

/// Becomes the trainer. Throws Error{io} when it cannot be started.
[[noreturn]] void become_trainer(std::vector<std::string> arguments);

/// Runs the trainer; an interrupt stops it too. Returns its exit status. Throws Error{io} when it cannot be
/// started.
int run_trainer(std::vector<std::string> arguments);

}  // namespace mii
