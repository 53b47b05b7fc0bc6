#include "program_files.h"

namespace mii {

std::filesystem::path program_file(const std::string& name, const std::string& in_source) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  auto installed = program.parent_path().parent_path() / "share" / "mii" / name;
  if (std::filesystem::exists(installed, error)) return installed;
  return std::filesystem::path(MII_SOURCE_DIR) / in_source;
}

}  // namespace mii
