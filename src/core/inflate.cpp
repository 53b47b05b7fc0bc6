#include "core/inflate.h"

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <string>

#include <zlib.h>

#include "mii/error.h"

namespace mii {
namespace {

constexpr size_t kFirstBytes = size_t{1} << 20;  // of a buffer that grows
constexpr int kGzipOnly = 16;                    // zlib: added to the window bits

uInt at_most_uint(size_t count) {
  return static_cast<uInt>(std::min<size_t>(count, std::numeric_limits<uInt>::max()));
}

// realloc moves the pages of a large block instead of copying them, and pages that were never written cost
// nothing: at any time the memory is what has arrived.
HeapBytes resized(HeapBytes buffer, size_t size) {
  auto* moved = static_cast<std::byte*>(std::realloc(buffer.get(), size));
  if (moved == nullptr) throw std::bad_alloc();
  static_cast<void>(buffer.release());  // NOLINT: realloc has freed it
  return HeapBytes(moved);
}

}  // namespace

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B} &&
         bytes[2] == std::byte{8};
}

struct Inflater::Stream : z_stream {
  explicit Stream(Format format) : z_stream{} {
    if (inflateInit2(this, format == Format::gzip ? MAX_WBITS + kGzipOnly : -MAX_WBITS) != Z_OK)
      throw std::bad_alloc();
  }
  ~Stream() { inflateEnd(this); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

Inflater::Inflater(Format format, std::span<const std::byte> bytes, const char* what)
    : format_(format), what_(what), rest_(bytes), stream_(std::make_unique<Stream>(format)) {}

Inflater::~Inflater() = default;

// zlib counts in 32 bits, files may be longer.
void Inflater::feed() {
  if (stream_->avail_in > 0) return;
  const uInt count = at_most_uint(rest_.size());
  stream_->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest_.data()));  // zlib only reads it
  stream_->avail_in = count;
  rest_ = rest_.subspan(count);
}

// Whether another member follows the one that has just ended.
bool Inflater::start_next_member() {
  if (format_ != Format::gzip) return false;
  feed();
  const std::span left(reinterpret_cast<const std::byte*>(stream_->next_in), stream_->avail_in);
  if (!is_gzip(left)) return false;
  inflateReset(stream_.get());
  complete_ = false;
  return true;
}

size_t Inflater::read(std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    if (complete_ && !start_next_member()) break;
    feed();
    const uInt room = at_most_uint(out.size() - done);
    stream_->next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream_->avail_out = room;
    const int result = inflate(stream_.get(), Z_NO_FLUSH);
    done += room - stream_->avail_out;
    complete_ = result == Z_STREAM_END;
    if (result == Z_BUF_ERROR) break;  // no input is left
    if (result != Z_OK && result != Z_STREAM_END)
      throw Error(ErrorCode::invalid_image, std::string(what_) + " are damaged: " +
                                                (stream_->msg != nullptr ? stream_->msg : "unknown"));
  }
  return done;
}

size_t Inflater::skip(size_t count) {
  std::array<std::byte, 16384> part;
  size_t done = 0;
  while (done < count) {
    const size_t wanted = std::min(part.size(), count - done);
    const size_t arrived = read(std::span(part).first(wanted));
    done += arrived;
    if (arrived < wanted) break;
  }
  return done;
}

InflatedBytes inflate_up_to(Inflater& inflater, size_t most) {
  InflatedBytes inflated;
  size_t room = 0;
  while (inflated.size < most && inflated.size == room) {
    room = std::min(most, std::max(kFirstBytes, 2 * room));
    inflated.bytes = resized(std::move(inflated.bytes), room);
    inflated.size += inflater.read({inflated.bytes.get() + inflated.size, room - inflated.size});
  }
  return inflated;
}

}  // namespace mii
