#include "download/part_file.h"

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

std::vector<ByteRange> cut(uint64_t bytes, uint64_t range_bytes) {
  if (bytes == 0) return {{.begin = 0, .end = UINT64_MAX, .at = 0}};
  std::vector<ByteRange> ranges;
  for (uint64_t begin = 0; begin < bytes; begin = ranges.back().end)
    ranges.push_back({begin, begin + std::clamp<uint64_t>(range_bytes, 1, bytes - begin), begin});
  return ranges;
}

}  // namespace

PartFile PartFile::open(std::filesystem::path path, uint64_t bytes, uint64_t range_bytes) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  PartFile part(std::move(path), descriptor, bytes);
  struct stat status {};
  if (descriptor < 0 || fstat(descriptor, &status) != 0) part.fail();
  const auto size = static_cast<uint64_t>(status.st_size);
  part.ranges_ = cut(bytes, range_bytes);
  const uint64_t with_notes = bytes + part.ranges_.size() * sizeof(uint64_t);
  if (part.has_notes() && size == with_notes) {
    part.read_notes();
  } else if (size <= part.ranges_.back().end) {
    for (ByteRange& range : part.ranges_) range.at = std::clamp(size, range.begin, range.end);
  } else {
    part.resize(0);
  }
  if (part.has_notes()) part.resize(with_notes);
  for (size_t r = 0; r < part.ranges_.size(); ++r) part.note(r);
  return part;
}

PartFile::PartFile(std::filesystem::path path, int descriptor, uint64_t bytes)
    : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes) {}

PartFile::PartFile(PartFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_),
      ranges_(std::move(other.ranges_)) {}

PartFile::~PartFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

void PartFile::fail() const {
  throw Error(ErrorCode::io, path_.string() + ": cannot be written: " + std::strerror(errno));
}

uint64_t PartFile::received() const {
  uint64_t sum = 0;
  for (const ByteRange& range : ranges_) sum += range.at - range.begin;
  return sum;
}

bool PartFile::complete() const { return std::ranges::all_of(ranges_, &ByteRange::complete); }

void PartFile::add(size_t range, std::span<const std::byte> bytes) {
  write(bytes.data(), bytes.size(), ranges_[range].at);
  ranges_[range].at += bytes.size();
  note(range);
}

void PartFile::start_over() {
  resize(0);
  ranges_ = cut(bytes_, bytes_);
}

void PartFile::finish() {
  if (has_notes()) resize(bytes_);
}

void PartFile::resize(uint64_t bytes) {
  if (ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) fail();
}

void PartFile::write(const void* data, size_t size, uint64_t offset) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = pwrite(descriptor_, next, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail();
    next += n;
    size -= static_cast<size_t>(n);
    offset += static_cast<uint64_t>(n);
  }
}

void PartFile::note(size_t range) {
  const uint64_t at = ranges_[range].at;
  if (has_notes()) write(&at, sizeof(at), bytes_ + range * sizeof(at));
}

// A note that cannot be true says nothing.
void PartFile::read_notes() {
  std::vector<uint64_t> notes(ranges_.size());
  const size_t size = notes.size() * sizeof(uint64_t);
  if (pread(descriptor_, notes.data(), size, static_cast<off_t>(bytes_)) != static_cast<ssize_t>(size))
    fail();
  for (size_t r = 0; r < notes.size(); ++r)
    if (notes[r] >= ranges_[r].begin && notes[r] <= ranges_[r].end) ranges_[r].at = notes[r];
}

}  // namespace mii
