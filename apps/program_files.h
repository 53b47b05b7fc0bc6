#pragma once

#include <filesystem>
#include <string>

namespace mii {

/// A file or folder that comes with the program: share/mii/NAME beside it where `cmake --install` has put it,
/// else in_source, under the source tree that it was built from. Need not exist.
std::filesystem::path program_file(const std::string& name, const std::string& in_source);

}  // namespace mii
