#include "search/row_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/bytes.h"
#include "core/file.h"
#include "mii/error.h"

namespace mii::search {
namespace {

constexpr size_t kHeaderBytes = 64;
constexpr size_t kKindBytes = 8;
constexpr std::string_view kMagic = "MIIROWS1";
constexpr size_t kRoomBytes = 64 << 20;  // mapped beyond the end, so that a file that grows is mapped seldom

using Header = std::array<std::byte, kHeaderBytes>;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::io, path.string() + ": " + what);
}
[[noreturn]] void fail_with_reason(const std::filesystem::path& path, const char* what) {
  fail(path, std::string(what) + ": " + std::strerror(errno));
}

void store_le(std::byte* to, uint64_t value) {
  for (size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
}

// magic, kind, dim, bytes of a row, zeros, CRC-32 of what is before it.
Header header_of(const RowFile::Layout& layout) {
  Header header{};
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  std::memcpy(header.data() + 8, layout.kind.data(), std::min(layout.kind.size(), kKindBytes));
  store_le(header.data() + 16, layout.dim);
  store_le(header.data() + 24, layout.row_bytes);
  store_le(header.data() + 56, crc32_of(std::span(header).first(56)));
  return header;
}

void write_at(int fd, const std::filesystem::path& path, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_with_reason(path, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

uint64_t size_of_file(int fd, const std::filesystem::path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_with_reason(path, "cannot stat");
  if (!S_ISREG(info.st_mode)) fail(path, "not a regular file");
  return static_cast<uint64_t>(info.st_size);
}

}  // namespace

uint32_t crc32_of(std::span<const std::byte> bytes, uint32_t before) {
  if (bytes.empty()) return before;  // zlib would begin anew where there is no address
  return static_cast<uint32_t>(::crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

uint32_t crc32_of_both(uint32_t first, uint32_t second, uint64_t second_bytes) {
  return static_cast<uint32_t>(::crc32_combine(first, second, static_cast<z_off_t>(second_bytes)));
}

RowFile RowFile::create(const std::filesystem::path& path, Layout layout) {
  RowFile file;
  file.path_ = path;
  file.layout_ = std::move(layout);
  file.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file.fd_ < 0) fail_with_reason(path, "cannot write");
  write_at(file.fd_, path, header_of(file.layout_), 0);
  file.sync();
  sync_folder(path.parent_path());
  return file;
}

RowFile RowFile::open(const std::filesystem::path& path, Layout layout, uint64_t rows, bool writable) {
  RowFile file;
  file.path_ = path;
  file.layout_ = std::move(layout);
  file.fd_ = ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
  if (file.fd_ < 0) fail_with_reason(path, "cannot open");
  const uint64_t size = size_of_file(file.fd_, path);
  Header header{};
  if (size < kHeaderBytes || ::pread(file.fd_, header.data(), kHeaderBytes, 0) != kHeaderBytes)
    fail(path, "has " + std::to_string(size) + " bytes, fewer than its header");
  if (std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0)
    fail(path, "is no file of vectors, or of a newer version");
  if (header != header_of(file.layout_))
    fail(path, "its header is damaged, or not that of " + file.layout_.kind + " rows of " +
                   std::to_string(file.layout_.dim) + " values");
  if ((size - kHeaderBytes) / file.layout_.row_bytes < rows)
    fail(path, "has " + std::to_string(size) + " bytes, fewer than " + std::to_string(rows) + " rows of " +
                   std::to_string(file.layout_.row_bytes) + " need");
  return file;
}

RowFile::RowFile(RowFile&& other) noexcept { *this = std::move(other); }

RowFile& RowFile::operator=(RowFile&& other) noexcept {
  if (this == &other) return *this;
  close();
  path_ = std::move(other.path_);
  layout_ = std::move(other.layout_);
  fd_ = std::exchange(other.fd_, -1);
  mapped_ = std::exchange(other.mapped_, nullptr);
  mapped_bytes_ = std::exchange(other.mapped_bytes_, 0);
  return *this;
}

RowFile::~RowFile() { close(); }

void RowFile::close() {
  if (mapped_ != nullptr) ::munmap(mapped_, mapped_bytes_);
  if (fd_ >= 0) ::close(fd_);
  mapped_ = nullptr;
  fd_ = -1;
}

const std::byte* RowFile::map(uint64_t rows) {
  const uint64_t bytes = kHeaderBytes + rows * layout_.row_bytes;  // fits: checked against a file's size
  if (mapped_ == nullptr || bytes > mapped_bytes_) {
    if (size_of_file(fd_, path_) < bytes)
      fail(path_, "became shorter than its " + std::to_string(rows) + " rows");
    const size_t wanted = bytes + std::max<size_t>(kRoomBytes, bytes / 2);
    void* p = ::mmap(nullptr, wanted, PROT_READ, MAP_SHARED, fd_, 0);
    if (p == MAP_FAILED) fail_with_reason(path_, "cannot map");
    if (mapped_ != nullptr) ::munmap(mapped_, mapped_bytes_);
    mapped_ = static_cast<std::byte*>(p);
    mapped_bytes_ = wanted;
  }
  return mapped_ + kHeaderBytes;
}

void RowFile::release(uint64_t first, uint64_t count) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const uint64_t begin = (kHeaderBytes + first * layout_.row_bytes) / page * page;
  const uint64_t end = std::min<uint64_t>(kHeaderBytes + (first + count) * layout_.row_bytes, mapped_bytes_);
  if (begin < end) ::madvise(mapped_ + begin, end - begin, MADV_DONTNEED);  // what is read again comes again
}

void RowFile::write(uint64_t first, std::span<const std::byte> rows) {
  write_at(fd_, path_, rows, kHeaderBytes + first * layout_.row_bytes);
}

void RowFile::sync() {
  if (::fdatasync(fd_) != 0) fail_with_reason(path_, "cannot write");
}

uint32_t RowFile::checksum(uint64_t first, uint64_t count) {
  const std::byte* rows = map(first + count);
  return crc32_of({rows + first * layout_.row_bytes, static_cast<size_t>(count * layout_.row_bytes)});
}

}  // namespace mii::search
