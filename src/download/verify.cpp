#include "download/verify.h"

#include "core/sha256.h"
#include "download/download.h"
#include "mii/error.h"

namespace mii {
const char* to_string(VerifiedFile::State state) {
  switch (state) {
    case VerifiedFile::State::right:
      return "right";
    case VerifiedFile::State::differs:
      return "differs";
    case VerifiedFile::State::missing:
      return "missing";
  }
  return "";
}

std::vector<VerifiedFile> verify_files(const std::filesystem::path& folder,
                                       const std::function<bool()>& cancelled) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error))
    throw Error(ErrorCode::io, folder.string() + ": is no folder");
  std::vector<VerifiedFile> files;
  for (const RemoteFile& published : published_model()) {
    VerifiedFile file{.path = published.path, .expected = published.sha256};
    if (std::filesystem::exists(folder / file.path, error)) {
      file.sha256 = sha256_of_file(folder / file.path, cancelled);
      file.state = file.sha256 == file.expected ? VerifiedFile::State::right : VerifiedFile::State::differs;
    }
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace mii
