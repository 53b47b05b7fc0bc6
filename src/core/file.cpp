#include "core/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
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
  // Without O_NONBLOCK a FIFO would be waited for; it changes nothing for regular files.
  explicit Descriptor(const std::filesystem::path& path)
      : Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) throw_io(path, "cannot open");
  }
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
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

// Up to `size` bytes, fewer where the file ends before.
size_t read_up_to(const Descriptor& file, void* to, size_t size, const std::filesystem::path& path) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(file.get(), static_cast<std::byte*>(to) + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_io(path, "cannot read");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
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
  if (read_up_to(file, bytes.data(), size, path) < size)
    throw Error(ErrorCode::io, path.string() + ": became shorter while it was read");
  return bytes;
}

/// The temporary file of a writer that lives is locked: by the open file, so that the lock ends with the
/// process however it ends, and in whatever namespace of process numbers it runs.
/// False when another writer has removed the file before it was locked. Where there are no locks all is well.
bool keep_lock(int fd) {
  while (::flock(fd, LOCK_EX) != 0 && errno == EINTR) continue;
  struct stat info {};
  return ::fstat(fd, &info) != 0 || info.st_nlink > 0;
}

/// True when the temporary file is gone: a writer that was killed had left it.
bool remove_if_dead(const std::filesystem::path& temporary) {
  const Descriptor file(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (file.get() < 0) return errno == ENOENT;
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
  // A writer that was done meanwhile has renamed its file, and the name may be the next one's.
  struct stat locked {};
  struct stat named {};
  if (::fstat(file.get(), &locked) != 0 || ::lstat(temporary.c_str(), &named) != 0) return errno == ENOENT;
  if (locked.st_ino != named.st_ino || locked.st_dev != named.st_dev) return true;
  return ::unlink(temporary.c_str()) == 0;
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

std::vector<std::byte> read_start(const std::filesystem::path& path, size_t bytes) {
  const Descriptor file(path);
  std::vector<std::byte> start(std::min(bytes, regular_file_size(file, path)));
  start.resize(read_up_to(file, start.data(), start.size(), path));
  return start;
}

std::string read_text_file(const std::filesystem::path& path, uint64_t max_bytes) {
  return read_whole<std::string>(path, max_bytes);
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor opened(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems have nothing to flush here, and some folders can be written but not read.
  if (opened.get() >= 0 && ::fsync(opened.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
    throw_io(folder, "cannot write");
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  {
    const Descriptor content(from);
    if (::fsync(content.get()) != 0) throw_io(from, "cannot write");
  }
  if (std::rename(from.c_str(), to.c_str()) != 0) throw_io(to, "cannot rename the finished file to its name");
  sync_folder(to.parent_path());
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  constexpr int kMaxWriters = 1000;
  int fd = -1;
  for (int number = 1; fd < 0;) {
    temporary_ = path_;
    temporary_ += ".tmp-" + std::to_string(number);
    fd = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 && !keep_lock(fd))
      ::close(std::exchange(fd, -1));
    else if (fd < 0 && (errno != EEXIST || number == kMaxWriters))
      throw_io(path_, "cannot write");
    else if (fd < 0 && !remove_if_dead(temporary_))
      ++number;
  }
  file_ = ::fdopen(fd, "wb");
  if (file_ != nullptr) return;
  ::close(fd);
  throw_io(path_, "cannot write");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      file_(std::exchange(other.file_, nullptr)) {}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  ::unlink(temporary_.c_str());
  std::fclose(file_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) throw_io(path_, "cannot write");
}

void AtomicFile::commit() {
  if (std::fflush(file_) != 0) throw_io(path_, "cannot write");
  // Closed last: the lock that tells other writers that this one lives goes with the descriptor.
  rename_durably(temporary_, path_);
  std::fclose(std::exchange(file_, nullptr));
}

void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace mii
