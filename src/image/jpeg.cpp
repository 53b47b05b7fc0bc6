#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <vector>

#include <jpeglib.h>
// jerror.h needs jpeglib.h before it.
#include <jerror.h>

#include "image/codec.h"
#include "image/colour.h"

namespace mii {
namespace {

// Each scan of a progressive image is a pass over all of it, however few bytes it has. Encoders write about
// ten: two thousand million samples are ten scans of 100 megapixels with their colour at half the size, and
// take a second.
constexpr int kMaxScans = 100;
constexpr size_t kMaxScannedSamples = 2'000'000'000;

// libjpeg reports an error by a call that must not return. It jumps back to JpegReader::guarded, over frames
// of C and of functions without destructors.
struct ErrorTrap {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void jump_out(j_common_ptr info) {
  auto* trap = reinterpret_cast<ErrorTrap*>(info->err);
  trap->manager.format_message(info, trap->message);
  std::longjmp(trap->jump, 1);
}

void ignore_message(j_common_ptr) {}

size_t samples_of(const jpeg_decompress_struct& info) {
  size_t blocks = 0;
  for (int c = 0; c < info.num_components; ++c)
    blocks += size_t{info.comp_info[c].width_in_blocks} * info.comp_info[c].height_in_blocks;
  return blocks * DCTSIZE2;
}

void count_scans(j_common_ptr common) {
  const auto& info = *reinterpret_cast<j_decompress_ptr>(common);
  if (info.input_scan_number <= 1) return;
  const auto scans = static_cast<size_t>(info.input_scan_number);
  if (scans > kMaxScans || scans * samples_of(info) > kMaxScannedSamples)
    ERREXIT(common, JERR_BAD_PROGRESSION);
}

void ignore_source_event(j_decompress_ptr) {}

// The whole file lies in the buffer, so a request for more means that the file is truncated.
boolean refuse_more(j_decompress_ptr info) {
  ERREXIT(info, JERR_INPUT_EOF);
  return FALSE;  // not reached
}

void skip_bytes(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  const size_t step = std::min(static_cast<size_t>(count), info->src->bytes_in_buffer);
  info->src->next_input_byte += step;
  info->src->bytes_in_buffer -= step;
}

class JpegReader {
 public:
  JpegReader(Bytes bytes, const DecodeLimits& limits) {
    info_.err = jpeg_std_error(&trap_.manager);
    trap_.manager.error_exit = jump_out;
    trap_.manager.output_message = ignore_message;
    source_.init_source = ignore_source_event;
    source_.term_source = ignore_source_event;
    source_.fill_input_buffer = refuse_more;
    source_.skip_input_data = skip_bytes;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.next_input_byte = as_u8(bytes);
    source_.bytes_in_buffer = bytes.size();
    progress_.progress_monitor = count_scans;
    guarded([this] { jpeg_create_decompress(&info_); });
    info_.src = &source_;
    info_.progress = &progress_;
    // A progressive image is kept as 16-bit coefficients, three a pixel, until its last scan.
    info_.mem->max_memory_to_use = static_cast<long>(limits.max_pixels * 8 + (64u << 20));
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  void read_header() {
    guarded([this] { jpeg_read_header(&info_, TRUE); });
    if (info_.num_components != 1 && info_.num_components != 3 && info_.num_components != 4) {
      throw_invalid("JPEG",
                    "has " + std::to_string(info_.num_components) + " colour components, expected 1, 3 or 4");
    }
    info_.out_color_space = info_.num_components == 4 ? JCS_CMYK : JCS_EXT_RGB;
  }

  void start() {
    guarded([this] { jpeg_start_decompress(&info_); });
  }

  // Reads the next rows, at most count, `stride` bytes apart. Returns how many it read.
  size_t read_rows(uint8_t* out, size_t stride, size_t count) {
    const JDIMENSION first = info_.output_scanline;
    const auto last = static_cast<JDIMENSION>(std::min<size_t>(info_.output_height, first + count));
    guarded([&] {
      while (info_.output_scanline < last) {
        JSAMPROW row = out + (info_.output_scanline - first) * stride;
        jpeg_read_scanlines(&info_, &row, 1);
      }
    });
    return last - first;
  }

  size_t width() const { return info_.image_width; }
  size_t height() const { return info_.image_height; }
  bool is_cmyk() const { return info_.out_color_space == JCS_CMYK; }

 private:
  template <class Step>
  void guarded(const Step& step) {
    if (setjmp(trap_.jump) != 0) throw_invalid("JPEG", trap_.message);
    step();
  }

  jpeg_decompress_struct info_{};
  ErrorTrap trap_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
};

void read_cmyk(JpegReader& reader, Canvas& canvas) {
  std::vector<uint8_t> inks(reader.width() * 4);
  for (size_t y = 0; y < reader.height(); ++y) {
    reader.read_rows(inks.data(), inks.size(), 1);
    // Adobe's programs store CMYK inverted; like Pillow, we assume this for every CMYK file with their
    // marker.
    for (uint8_t& ink : inks) ink = static_cast<uint8_t>(255 - ink);
    cmyk_to_rgb(inks.data(), reader.width(), canvas.row(y));
  }
}

void read_rgb(JpegReader& reader, Canvas& canvas) {
  constexpr size_t kRowsAtOnce = 32;
  for (size_t y = 0; y < reader.height();)
    y += reader.read_rows(canvas.row(y), reader.width() * 3, kRowsAtOnce);
}

}  // namespace

void image::decode_jpeg(Bytes bytes, const DecodeOptions& options, Canvas& canvas) {
  JpegReader reader(bytes, options.limits);
  reader.read_header();
  canvas.start(reader.width(), reader.height());
  reader.start();
  // A missing end marker after a complete image is accepted, as in Pillow: jpeg_finish_decompress is not
  // called.
  reader.is_cmyk() ? read_cmyk(reader, canvas) : read_rgb(reader, canvas);
}

}  // namespace mii
