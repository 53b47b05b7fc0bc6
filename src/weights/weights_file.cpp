#include "weights/weights_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "mii/error.h"

namespace mii {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error(ErrorCode::io, path.string() + ": " + what + ": " + std::strerror(errno));
}

}  // namespace

WeightsFile WeightsFile::open(const std::filesystem::path& path) {
  WeightsFile file(path);
  // Without waiting: opening a pipe would last until somebody writes to it.
  file.descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.descriptor_ < 0) fail(path, "cannot open");
  file.stamp_ = file.stamp();
  return file;
}

WeightsFile::~WeightsFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

WeightsFile::WeightsFile(WeightsFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      stamp_(other.stamp_) {}

WeightsFile::Stamp WeightsFile::stamp() const {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) fail(path_, "cannot stat");
  if (!S_ISREG(info.st_mode)) throw Error(ErrorCode::io, path_.string() + ": not a regular file");
  return {static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

void WeightsFile::expect_unchanged() const {
  if (stamp() == stamp_) return;
  throw Error(ErrorCode::corrupt_weights,
              path_.string() +
                  ": the weights changed while the model was in use; start again, and install a new file by "
                  "renaming it over the old one, never by overwriting");
}

void WeightsFile::read(uint64_t offset, std::span<std::byte> to) const {
  expect_unchanged();
  for (size_t done = 0; done < to.size();) {
    const ssize_t n =
        ::pread(descriptor_, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, "cannot read");
    if (n == 0) break;  // it became shorter: the stamp tells
    done += static_cast<size_t>(n);
  }
  expect_unchanged();
}

}  // namespace mii
