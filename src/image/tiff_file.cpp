#include "image/tiff_file.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace mii {

ZeroedBytes::ZeroedBytes(size_t size) : data_(static_cast<uint8_t*>(std::calloc(size, 1))), size_(size) {
  if (data_ == nullptr) throw std::bad_alloc();
}

namespace {

// The library's own tables, of its decoders and of what a directory lists, need this much at the least.
constexpr uint64_t kMinPieceBytes = 1 << 20;

}  // namespace

TiffFile::TiffFile(Bytes bytes, uint64_t max_pixels) : memory_{bytes, 0} {
  open(std::max(3 * max_pixels, kMinPieceBytes));
  read_layout();
}

tmsize_t TiffFile::read(thandle_t handle, void* out, tmsize_t size) {
  auto& memory = *static_cast<Memory*>(handle);
  if (size <= 0 || memory.position >= memory.bytes.size()) return 0;
  const size_t count = std::min<size_t>(static_cast<size_t>(size), memory.bytes.size() - memory.position);
  std::memcpy(out, memory.bytes.data() + memory.position, count);
  memory.position += count;
  return static_cast<tmsize_t>(count);
}

tmsize_t TiffFile::write(thandle_t, void*, tmsize_t) { return 0; }

toff_t TiffFile::seek(thandle_t handle, toff_t offset, int whence) {
  auto& memory = *static_cast<Memory*>(handle);
  if (whence == SEEK_CUR) offset += memory.position;
  if (whence == SEEK_END) offset += memory.bytes.size();
  return memory.position = offset;
}

int TiffFile::close(thandle_t) { return 0; }

toff_t TiffFile::size(thandle_t handle) { return static_cast<Memory*>(handle)->bytes.size(); }

int TiffFile::map(thandle_t handle, void** base, toff_t* size) {
  const Bytes bytes = static_cast<Memory*>(handle)->bytes;
  *base = const_cast<std::byte*>(bytes.data());  // read only: the file is opened for reading
  *size = bytes.size();
  return 1;
}

void TiffFile::unmap(thandle_t, void*, toff_t) {}

int TiffFile::keep_error(TIFF*, void* trouble, const char*, const char* format, va_list arguments) {
  auto& message = static_cast<Trouble*>(trouble)->message;
  if (message[0] == '\0') std::vsnprintf(message, sizeof message, format, arguments);
  return 1;  // handled: nothing is printed
}

int TiffFile::ignore_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

void TiffFile::fail(const std::string& what) const {
  throw_invalid("TIFF", trouble_.message[0] == '\0' ? what : what + ": " + trouble_.message);
}

void TiffFile::open(uint64_t max_bytes) {
  struct Free {
    void operator()(TIFFOpenOptions* options) const { TIFFOpenOptionsFree(options); }
  };
  const std::unique_ptr<TIFFOpenOptions, Free> options(TIFFOpenOptionsAlloc());
  if (options == nullptr) throw std::bad_alloc();
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(max_bytes));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), keep_error, &trouble_);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), ignore_warning, &trouble_);
  tiff_.reset(
      TIFFClientOpenExt("image", "r", &memory_, read, write, seek, close, size, map, unmap, options.get()));
  if (tiff_ == nullptr) fail("its directory cannot be read");
}

template <class T>
T TiffFile::tag(uint32_t name) const {
  T value{};
  TIFFGetFieldDefaulted(tiff_.get(), name, &value);
  return value;
}

void TiffFile::read_layout() {
  layout_.width = tag<uint32_t>(TIFFTAG_IMAGEWIDTH);
  layout_.height = tag<uint32_t>(TIFFTAG_IMAGELENGTH);
  layout_.photometric_given = TIFFGetField(tiff_.get(), TIFFTAG_PHOTOMETRIC, &layout_.photometric) == 1;
  layout_.compression = tag<uint16_t>(TIFFTAG_COMPRESSION);
  layout_.bits = tag<uint16_t>(TIFFTAG_BITSPERSAMPLE);
  layout_.samples = tag<uint16_t>(TIFFTAG_SAMPLESPERPIXEL);
  layout_.sample_format = tag<uint16_t>(TIFFTAG_SAMPLEFORMAT);
  layout_.orientation = tag<uint16_t>(TIFFTAG_ORIENTATION);
  layout_.planar = tag<uint16_t>(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE && layout_.samples > 1;
  layout_.tiled = TIFFIsTiled(tiff_.get()) != 0;
  layout_.block_width = layout_.tiled ? tag<uint32_t>(TIFFTAG_TILEWIDTH) : layout_.width;
  layout_.block_height = layout_.tiled ? tag<uint32_t>(TIFFTAG_TILELENGTH)
                                       : std::min(tag<uint32_t>(TIFFTAG_ROWSPERSTRIP), layout_.height);
  uint16_t extra_count = 0;
  const uint16_t* extras = nullptr;
  TIFFGetFieldDefaulted(tiff_.get(), TIFFTAG_EXTRASAMPLES, &extra_count, &extras);
  layout_.premultiplied = extra_count > 0 && extras[0] == EXTRASAMPLE_ASSOCALPHA;
}

TiffFile::Palette TiffFile::palette() const {
  uint16_t* red = nullptr;
  uint16_t* green = nullptr;
  uint16_t* blue = nullptr;
  if (TIFFGetField(tiff_.get(), TIFFTAG_COLORMAP, &red, &green, &blue) != 1) fail("has no palette");
  return {red, green, blue};
}

void TiffFile::convert_ycbcr_to_rgb() { TIFFSetField(tiff_.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB); }

void TiffFile::read_block(uint32_t x, uint32_t y, uint16_t plane, uint32_t rows, ZeroedBytes& out) const {
  TIFF* tiff = tiff_.get();
  const uint64_t wanted = layout_.block_row_bytes() * (layout_.tiled ? layout_.block_height : rows);
  const auto size = static_cast<tmsize_t>(wanted);
  if (wanted > out.size()) fail("an unexpected layout");
  const tmsize_t read =
      layout_.tiled ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, x, y, 0, plane), out.data(), size)
                    : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, y, plane), out.data(), size);
  if (read != size) {
    fail("the " + std::string(layout_.tiled ? "tile" : "strip") + " at pixel " + std::to_string(x) + ", " +
         std::to_string(y) + " is damaged or ends early");
  }
}

void TiffFile::read_row(uint32_t y, uint16_t plane, ZeroedBytes& out) const {
  if (TIFFScanlineSize64(tiff_.get()) > out.size()) fail("an unexpected layout");
  if (TIFFReadScanline(tiff_.get(), out.data(), y, plane) != 1)
    fail("row " + std::to_string(y) + " is damaged or ends early");
}

void TiffFile::read_rgba(std::span<uint32_t> rgba) const {
  char message[1024] = "";
  TIFFRGBAImage image;
  if (TIFFRGBAImageOK(tiff_.get(), message) == 0 ||
      TIFFRGBAImageBegin(&image, tiff_.get(), 1, message) == 0) {
    fail(std::string("its colours cannot be converted: ") + message);
  }
  // No flips here: the orientation is handled in one place for all kinds of images.
  image.orientation = ORIENTATION_TOPLEFT;
  image.req_orientation = ORIENTATION_TOPLEFT;
  const int done = rgba.size() == size_t{image.width} * image.height
                       ? TIFFRGBAImageGet(&image, rgba.data(), image.width, image.height)
                       : 0;
  TIFFRGBAImageEnd(&image);
  if (done == 0) fail("its pixels are damaged or end early");
}

}  // namespace mii
