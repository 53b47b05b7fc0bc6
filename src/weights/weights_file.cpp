#include "weights/weights_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "mii/error.h"

namespace mii {
namespace {

// What one thread copies out of the page cache at a time.
constexpr size_t kPieceBytes = size_t{1} << 20;

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error = errno) {
  throw Error(ErrorCode::io, path.string() + ": " + what + ": " + std::strerror(error));
}

// Returns an errno, or 0. Of a file that became shorter it reads less.
int read_piece(int descriptor, uint64_t offset, std::span<std::byte> to) {
  for (size_t done = 0; done < to.size();) {
    const ssize_t n =
        ::pread(descriptor, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return 0;
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
  const auto pieces = static_cast<int64_t>((to.size() + kPieceBytes - 1) / kPieceBytes);
  int error = 0;
#pragma omp parallel for schedule(dynamic, 1) reduction(max : error) if (pieces > 1)
  for (int64_t i = 0; i < pieces; ++i) {
    const size_t first = static_cast<size_t>(i) * kPieceBytes;
    const auto piece = to.subspan(first, std::min(kPieceBytes, to.size() - first));
    error = std::max(error, read_piece(descriptor_, offset + first, piece));
  }
  if (error != 0) fail(path_, "cannot read", error);
  expect_unchanged();
}

}  // namespace mii
