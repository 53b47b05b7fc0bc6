#include "core/temporary_folder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include "mii/error.h"

namespace mii {

TemporaryFolder::TemporaryFolder() {
  std::string name = std::filesystem::temp_directory_path() / "mii-XXXXXX";
  if (mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::io, name + ": a temporary folder cannot be made: " + std::strerror(errno));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mii
