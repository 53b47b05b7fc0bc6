#include "core/file.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mii/error.h"

namespace mii {
namespace {

[[noreturn]] void throw_io(const std::filesystem::path& path, const char* what, int error = errno) {
  throw Error(ErrorCode::io, path.string() + ": " + what + ": " + std::strerror(error));
}

/// An open file descriptor that is closed when it goes.
class Descriptor {
 public:
  // Without waiting: opening a pipe would last until somebody writes to it.
  explicit Descriptor(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) throw_io(path, "cannot open");
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

size_t regular_file_size(const Descriptor& file, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw_io(path, "cannot stat");
  if (!S_ISREG(info.st_mode)) throw Error(ErrorCode::io, path.string() + ": not a regular file");
  return static_cast<size_t>(info.st_size);
}

template <typename Container>
Container read_whole(const std::filesystem::path& path, uint64_t max_bytes) {
  const Descriptor file(path);
  const size_t size = regular_file_size(file, path);
  if (size > max_bytes) {
    throw Error(ErrorCode::io, path.string() + ": has " + std::to_string(size) + " bytes, at most " +
                                   std::to_string(max_bytes) + " are read");
  }
  Container bytes(size, typename Container::value_type{});
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::read(file.get(), bytes.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io(path, "cannot read");
    if (n == 0) throw Error(ErrorCode::io, path.string() + ": became shorter while it was read");
    done += static_cast<size_t>(n);
  }
  return bytes;
}

}  // namespace

void UnmapFile::operator()(const std::byte* p) const {
  if (size > 0) ::munmap(const_cast<std::byte*>(p), size);
}

MappedFile MappedFile::open(const std::filesystem::path& path) {
  const Descriptor file(path);
  const size_t size = regular_file_size(file, path);
  MappedFile mapped;
  if (size == 0) return mapped;
  void* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (p == MAP_FAILED) throw_io(path, "cannot map");
  mapped.data_ = {static_cast<const std::byte*>(p), UnmapFile{size}};
  return mapped;
}

std::vector<std::byte> read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  return read_whole<std::vector<std::byte>>(path, max_bytes);
}

std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes) {
  return read_whole<std::string>(path, max_bytes);
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  temporary_ = path_;
  temporary_ += ".tmp-" + std::to_string(::getpid());
  file_ = std::fopen(temporary_.c_str(), "wbe");
  if (file_ == nullptr) throw_io(path_, "cannot write");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      file_(std::exchange(other.file_, nullptr)) {}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) throw_io(path_, "cannot write");
}

void AtomicFile::commit() {
  if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) throw_io(path_, "cannot write");
  const int closed = std::fclose(std::exchange(file_, nullptr));
  const int error = errno;
  if (closed != 0) {
    ::unlink(temporary_.c_str());
    throw_io(path_, "cannot write", error);
  }
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int rename_error = errno;
    ::unlink(temporary_.c_str());
    throw_io(path_, "cannot rename the finished file to its name", rename_error);
  }
}

}  // namespace mii
