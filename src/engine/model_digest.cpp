#include "engine/model_digest.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/file.h"
#include "core/sha256.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxRecordBytes = 1 << 16;

// What changes when a file is replaced or written to.
std::string state_of(const fs::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0)
    throw Error(ErrorCode::io, file.string() + ": cannot be read: " + std::strerror(errno));
  std::ostringstream text;
  text << status.st_dev << ' ' << status.st_ino << ' ' << status.st_size << ' ' << status.st_mtim.tv_sec
       << '.' << status.st_mtim.tv_nsec;
  return text.str();
}

// Empty when the system names no place.
fs::path cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return fs::path(cache) / "mii";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return fs::path(home) / ".cache" / "mii";
  return {};
}

// One record a file, so that programs that run at the same time do not lose each other's.
fs::path record_of(const fs::path& file) {
  const fs::path folder = cache_folder();
  if (folder.empty()) return {};
  Sha256 name;
  name.add(fs::absolute(file).lexically_normal().string());
  return folder / ("sha256-" + name.finish().substr(0, 32));
}

std::string read_record(const fs::path& record, const std::string& state) {
  std::error_code error;
  if (record.empty() || !fs::is_regular_file(record, error)) return {};
  try {
    const std::string text = read_text_file(record, kMaxRecordBytes);
    constexpr size_t kDigits = 64;
    if (text.size() == kDigits + 1 + state.size() + 1 && text.substr(kDigits) == " " + state + "\n")
      return text.substr(0, kDigits);
  } catch (const Error&) {
    // It is computed again.
  }
  return {};
}

void write_record(const fs::path& record, const std::string& digest, const std::string& state) {
  if (record.empty()) return;
  try {
    fs::create_directories(record.parent_path());
    AtomicFile file(record);
    file.write(digest + " " + state + "\n");
    file.commit();
  } catch (const std::exception&) {
    // A read-only home costs the time of computing it again, no more.
  }
}

}  // namespace

std::string remembered_sha256(const fs::path& file, const std::function<bool()>& cancelled) {
  const std::string state = state_of(file);
  const fs::path record = record_of(file);
  if (std::string known = read_record(record, state); !known.empty()) return known;
  std::string digest = sha256_of_file(file, cancelled);
  if (state_of(file) != state) throw Error(ErrorCode::io, file.string() + ": was changed while it was read");
  write_record(record, digest, state);
  return digest;
}

const ModelDigest::Parts& ModelDigest::parts(const std::function<bool()>& cancelled) {
  std::call_once(once_, [&] {
    Sha256 tokenizer;
    for (const char* name : {"vocab.json", "merges.txt"})
      tokenizer.add(sha256_of_file(folder_.tokenizer / name));
    parts_ = {remembered_sha256(folder_.weights, cancelled), sha256_of_file(folder_.config),
              tokenizer.finish()};
  });
  return parts_;
}

}  // namespace mii
