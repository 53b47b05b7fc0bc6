#include "image/tiff_rows.h"

#include <string>

namespace mii {
namespace {

uint64_t divided_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

[[noreturn]] void throw_too_large(const std::string& what, uint64_t most) {
  throw Error(ErrorCode::image_too_large,
              "TIFF: " + what + " more than " + std::to_string(most) + " bytes, uncompressed");
}

/// Whether a strip can be read row by row: a row of all planes at once, without starting a strip again.
bool has_rows(const TiffLayout& layout) {
  return !layout.tiled && (!layout.planar || layout.compression == COMPRESSION_NONE);
}

}  // namespace

void check_blocks(const TiffLayout& layout, const DecodeLimits& limits) {
  if (layout.block_width == 0 || layout.block_height == 0)
    throw_invalid("TIFF", "has strips or tiles without pixels");
  const uint64_t row_bytes = divided_up(layout.width, layout.block_width) * layout.block_row_bytes() *
                             (layout.planar ? layout.samples : 1);
  const uint64_t rows = divided_up(layout.height, layout.block_height) * layout.block_height;
  const uint64_t most = limits.max_pixels * kMaxTiffBytesPerPixel;
  if (row_bytes > most / rows) throw_too_large("its strips or tiles hold", most);
}

TiffRows::TiffRows(const TiffFile& file, size_t samples, const DecodeLimits& limits)
    : file_(file), layout_(file.layout()), rows_at_once_(layout_.block_height) {
  const size_t planes = layout_.planar ? samples : 1;
  const uint64_t most = limits.max_pixels / (planes * layout_.block_row_bytes());  // rows at once
  if (rows_at_once_ > most && has_rows(layout_)) rows_at_once_ = 1;
  if (rows_at_once_ > most) {
    throw_too_large("a " + std::string(layout_.tiled ? "tile" : "strip") + " holds", limits.max_pixels);
  }
  for (size_t p = 0; p < planes; ++p) {
    planes_.emplace_back(static_cast<size_t>(layout_.block_row_bytes() * rows_at_once_));
  }
}

void TiffRows::read(uint32_t x, uint32_t y) {
  const bool whole = rows_at_once_ == layout_.block_height;
  for (size_t p = 0; p < planes_.size(); ++p) {
    const auto plane = static_cast<uint16_t>(p);
    whole ? file_.read_block(x, y, plane, rows_from(y), planes_[p]) : file_.read_row(y, plane, planes_[p]);
  }
}

const TiffRow& TiffRows::piece(uint32_t x, uint32_t y, uint32_t c, uint32_t r) {
  row_.x = x + c;
  row_.y = y + r;
  row_.pixels = std::min(kMaxTiffPieceWidth, pixels_from(x) - c);
  row_.planes.clear();
  // Pieces begin at whole bytes: their width is a multiple of 8.
  const size_t offset = r * layout_.block_row_bytes() + layout_.row_bytes(c);
  for (ZeroedBytes& plane : planes_) row_.planes.push_back(plane.data() + offset);
  return row_;
}

Turn::Turn(const TiffLayout& layout) : stored_width_(layout.width), stored_height_(layout.height) {
  const uint16_t orientation = layout.orientation;
  transposed_ = orientation >= 5 && orientation <= 8;
  flip_x_ = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  flip_y_ = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
}

size_t Turn::index_of(size_t x, size_t y) const {
  const size_t along = flip_x_ ? stored_width_ - 1 - x : x;
  const size_t down = flip_y_ ? stored_height_ - 1 - y : y;
  return transposed_ ? along * width() + down : down * width() + along;
}

ptrdiff_t Turn::step() const {
  const auto forward = static_cast<ptrdiff_t>(transposed_ ? width() : 1);
  return flip_x_ ? -forward : forward;
}

}  // namespace mii
