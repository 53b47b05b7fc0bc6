#include <algorithm>
#include <bit>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include <png.h>

#include "image/codec.h"
#include "image/colour.h"

namespace mii {
namespace {

constexpr png_alloc_size_t kMaxChunkBytes = 8u << 20;
// Compressed pixels behind the last row would be inflated to nothing: few of their bytes are read.
constexpr size_t kMaxBytesBehindRows = 256u << 10;
// libpng keeps several rows at once: of the bytes that an image's pixels may have, a row may take this
// share.
constexpr uint64_t kRowShare = 16;

constexpr png_uint_32 kPixelChunk = 0x49444154;  // "IDAT"

struct Input {
  Bytes rest;
  size_t pixel_bytes_left = SIZE_MAX;  // compressed
};

// libpng reports an error by a call that must not return. It jumps back to PngReader::guarded, over frames of
// C and of functions without destructors.
struct ErrorTrap {
  std::jmp_buf jump;
  char message[160];
};

[[noreturn]] void jump_out(png_structp png, png_const_charp message) {
  auto* trap = static_cast<ErrorTrap*>(png_get_error_ptr(png));
  std::snprintf(trap->message, sizeof trap->message, "%s", message);
  std::longjmp(trap->jump, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* input = static_cast<Input*>(png_get_io_ptr(png));
  if (count > input->rest.size()) png_error(png, "ends early");
  if (png_get_io_chunk_type(png) == kPixelChunk) {
    if (count > input->pixel_bytes_left) png_error(png, "has more pixels than its rows need");
    input->pixel_bytes_left -= count;
  }
  std::memcpy(out, input->rest.data(), count);
  input->rest = input->rest.subspan(count);
}

class PngReader {
 public:
  explicit PngReader(Bytes bytes) : input_{bytes} {
    if (setjmp(trap_.jump) == 0)
      png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &trap_, jump_out, ignore_warning);
    if (png_ == nullptr) throw std::bad_alloc();
    info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  void read_header() {
    guarded([this] {
      png_set_read_fn(png_, &input_, read_bytes);
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the canvas has its own
      png_set_chunk_malloc_max(png_, kMaxChunkBytes);
      // Profiles, texts and the like are skipped unread: they change no pixel and can be bombs.
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
      png_read_info(png_, info_);
      stored_row_bytes_ = png_get_rowbytes(png_, info_);
    });
  }

  // Gives indices without an entry shades of grey, as Pillow does.
  void complete_palette() {
    if (png_get_color_type(png_, info_) != PNG_COLOR_TYPE_PALETTE) return;
    guarded([this] {
      png_color full[PNG_MAX_PALETTE_LENGTH];
      png_colorp stored = nullptr;
      int stored_count = 0;
      png_get_PLTE(png_, info_, &stored, &stored_count);
      const int count = 1 << png_get_bit_depth(png_, info_);
      for (int i = 0; i < count; ++i) {
        const auto shade = static_cast<png_byte>(i);
        full[i] = i < stored_count ? stored[i] : png_color{shade, shade, shade};
      }
      png_set_PLTE(png_, info_, full, count);
    });
  }

  // Asks for grey of 16 bits in the machine's byte order where the file stores that, else for 8-bit RGB.
  void choose_output() {
    guarded([this] {
      if (is_grey16()) {
        if constexpr (std::endian::native == std::endian::little) png_set_swap(png_);
      } else {
        png_set_strip_16(png_);
        png_set_expand_gray_1_2_4_to_8(png_);
        png_set_palette_to_rgb(png_);
        png_set_gray_to_rgb(png_);
        png_set_strip_alpha(png_);
      }
      passes_ = png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
    });
    const size_t expected = width() * (is_grey16() ? 2 : 3);
    if (png_get_rowbytes(png_, info_) != expected) throw_invalid("PNG", "an unexpected layout of its rows");
  }

  // Reads one row in this pass; an interlaced image gives each row in each of its passes.
  void read_row(void* row, int pass, size_t y) {
    if (pass + 1 == passes_ && y + 1 == height()) expect_last_row();
    guarded([&] { png_read_row(png_, static_cast<png_bytep>(row), nullptr); });
  }

  // Reads up to the end chunk, so that checksums after the last row are checked too.
  void read_end() {
    guarded([this] { png_read_end(png_, nullptr); });
  }

  size_t stored_row_bytes() const { return stored_row_bytes_; }
  size_t width() const { return png_get_image_width(png_, info_); }
  size_t height() const { return png_get_image_height(png_, info_); }
  int passes() const { return passes_; }
  bool is_grey16() const {
    return png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png_, info_) == 16;
  }

 private:
  // Behind the last row of the last pass libpng looks for the end of the pixels.
  void expect_last_row() {
    const size_t row_bytes = stored_row_bytes_;
    input_.pixel_bytes_left = row_bytes + row_bytes / 8 + kMaxBytesBehindRows;
  }

  template <class Step>
  void guarded(const Step& step) {
    if (setjmp(trap_.jump) != 0) throw_invalid("PNG", trap_.message);
    step();
  }

  Input input_;
  ErrorTrap trap_{};
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  size_t stored_row_bytes_ = 0;
};

void read_rgb(PngReader& reader, Canvas& canvas) {
  for (int pass = 0; pass < reader.passes(); ++pass) {
    for (size_t y = 0; y < reader.height(); ++y) reader.read_row(canvas.row(y), pass, y);
  }
}

void read_grey16(PngReader& reader, Grey16 rule, Canvas& canvas) {
  const size_t pixels = reader.width() * reader.height();
  const auto grey = std::make_unique_for_overwrite<uint16_t[]>(pixels);
  for (int pass = 0; pass < reader.passes(); ++pass) {
    for (size_t y = 0; y < reader.height(); ++y) reader.read_row(grey.get() + y * reader.width(), pass, y);
  }
  grey16_to_rgb({grey.get(), pixels}, rule, canvas.row(0));
}

}  // namespace

void image::decode_png(Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  PngReader reader(bytes);
  reader.read_header();
  check_size(reader.width(), reader.height(), options.limits);
  if (const uint64_t most = options.limits.max_pixels / kRowShare; reader.stored_row_bytes() > most) {
    throw Error(ErrorCode::image_too_large, "PNG: a row of more than " + std::to_string(most) + " bytes");
  }
  canvas.start(reader.width(), reader.height());
  reader.complete_palette();
  reader.choose_output();
  reader.is_grey16() ? read_grey16(reader, options.grey16, canvas) : read_rgb(reader, canvas);
  reader.read_end();
}

}  // namespace mii
