#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include <nifti/nifti2_io.h>

#include "mii/error.h"

#include "medical/nifti.h"

namespace mii {
namespace {

using Bytes = std::span<const std::byte>;

// --- the file ---

constexpr size_t kHeadBytes = kNifti2HeaderBytes;

constexpr size_t kTailBytes = size_t{1} << 16;  // inflated behind the voxels in search of the checksum

Inflater gzip_reader(Bytes bytes) { return {Inflater::Format::gzip, bytes, "NIfTI: the gzip data"}; }

// The first bytes of the file inside.
std::vector<std::byte> head_of(Bytes bytes) {
  if (!is_gzip(bytes)) {
    const Bytes head = bytes.first(std::min(bytes.size(), kHeadBytes));
    return {head.begin(), head.end()};
  }
  std::vector<std::byte> head(kHeadBytes);
  head.resize(gzip_reader(bytes).read(head));
  return head;
}

constexpr uint64_t kFreelyInflated = 256ull << 20;

// Decided by the header alone, so that a bomb costs nothing.
void check_inflation(Bytes bytes, const NiftiHeader& header, const NiftiLimits& limits) {
  if (header.voxel_bytes <= kFreelyInflated) return;
  if (header.voxel_bytes / bytes.size() > limits.max_inflation)
    throw Error(ErrorCode::image_too_large,
                "NIfTI: " + std::to_string(bytes.size()) + " bytes of gzip data claim to hold a volume of " +
                    std::to_string(header.voxel_bytes) + " bytes, at most " +
                    std::to_string(limits.max_inflation) + " times as many are allowed");
}

// Reads on to the checksum if that is near.
HeapBytes inflated_voxels(Bytes bytes, const NiftiHeader& header) {
  Inflater reader = gzip_reader(bytes);
  const size_t offset = header.voxel_offset, size = header.voxel_bytes;
  const size_t skipped = reader.skip(offset);
  InflatedBytes inflated;
  if (skipped == offset) inflated = inflate_up_to(reader, size);
  const bool enough = inflated.size == size;
  const bool more = enough && reader.skip(kTailBytes) == kTailBytes;
  if (!enough || (!more && !reader.complete()))
    throw Error(ErrorCode::invalid_image,
                "NIfTI: the gzip data end early: expected " + std::to_string(offset + size) +
                    " bytes and a checksum, found " + std::to_string(skipped + inflated.size) + " bytes");
  return std::move(inflated.bytes);
}

Bytes stored_voxels(Bytes bytes, const NiftiHeader& header) {
  const uint64_t end = header.voxel_offset + header.voxel_bytes;
  if (bytes.size() < end)
    throw Error(ErrorCode::invalid_image, "NIfTI: the voxels end early: expected " + std::to_string(end) +
                                              " bytes, found " + std::to_string(bytes.size()));
  return bytes.subspan(header.voxel_offset, header.voxel_bytes);
}

// --- directions ---

constexpr char kRising[] = {'R', 'A', 'S'};
constexpr char kFalling[] = {'L', 'P', 'I'};

// The rotation that is closest to the axes' directions. Source: nibabel.orientations.io_orientation.
nifti_dmat33 closest_rotation(const VoxelAxes& axes) {
  return nifti_dmat33_polar(std::bit_cast<nifti_dmat33>(unit_axes(axes)));
}

double strongest(const nifti_dmat33& rotation, size_t voxel_axis) {
  double most = 0;
  for (const auto& row : rotation.m) most = std::max(most, row[voxel_axis] * row[voxel_axis]);
  return most;
}

double millimetres(int space_units) {
  if (space_units == NIFTI_UNITS_METER) return 1000;
  return space_units == NIFTI_UNITS_MICRON ? 0.001 : 1;
}

// How a plane's images lie in space: which directions (0 right, 1 anterior, 2 superior) the slices, rows
// and columns are numbered along. Rows and columns run against theirs: superior or anterior is on top, the
// patient's right or anterior on the left.
struct Layout {
  size_t slice, row, col;
  bool slices_reversed;
};

Layout layout_of(SlicePlane plane) {
  switch (plane) {
    case SlicePlane::axial:
      return {2, 1, 0, false};
    case SlicePlane::coronal:
      return {1, 2, 0, false};
    case SlicePlane::sagittal:
      break;
  }
  return {0, 2, 1, true};
}

void check_index(const char* what, size_t index, size_t count) {
  if (index >= count)
    throw Error(ErrorCode::invalid_argument, std::string("NIfTI: ") + what + " " + std::to_string(index) +
                                                 " is beyond the end, there are " + std::to_string(count));
}

}  // namespace

NiftiVolume NiftiVolume::open(std::span<const std::byte> bytes, const NiftiLimits& limits) {
  const bool compressed = is_gzip(bytes);
  const NiftiHeader header = read_nifti_header(head_of(bytes), limits);
  HeapBytes owned;
  if (compressed) {
    check_inflation(bytes, header, limits);
    owned = inflated_voxels(bytes, header);
  }
  const Bytes voxels = compressed ? Bytes(owned.get(), header.voxel_bytes) : stored_voxels(bytes, header);
  NiftiVolume volume(header, limits, std::move(owned), voxels);
  volume.describe(compressed);
  return volume;
}

NiftiVolume::NiftiVolume(const NiftiHeader& header, const NiftiLimits& limits, HeapBytes owned, Bytes voxels)
    : header_(header), max_slice_pixels_(limits.max_slice_pixels), owned_(std::move(owned)), voxels_(voxels) {
  strides_[1] = header.dims[0];
  strides_[2] = header.dims[0] * header.dims[1];
  for (size_t d = 3; d < header.dims.size(); ++d) times_ *= header.dims[d];
  find_directions();
}

// The voxel axis closest to one direction is assigned first, then the others among the remaining directions.
// Source: nibabel.orientations.io_orientation.
void NiftiVolume::find_directions() {
  nifti_dmat33 rotation = closest_rotation(header_.axes);
  std::array<size_t, 3> order = {0, 1, 2};
  std::array<double, 3> strength;
  for (size_t v = 0; v < 3; ++v) strength[v] = strongest(rotation, v);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return strength[a] > strength[b]; });
  std::array<bool, 3> taken = {};
  for (const size_t v : order) {
    size_t best = 3;
    for (size_t w = 0; w < 3; ++w) {
      if (!taken[w] && (best == 3 || std::abs(rotation.m[w][v]) > std::abs(rotation.m[best][v]))) best = w;
    }
    taken[best] = true;
    directions_[best] = {v, rotation.m[best][v] < 0};
  }
}

void NiftiVolume::describe(bool compressed) {
  info_.version = header_.version;
  info_.compressed = compressed;
  info_.byte_order = header_.byte_order;
  info_.dims.assign(header_.dims.begin(), header_.dims.begin() + header_.dimensions);
  info_.datatype = nifti_datatype_name(header_.datatype);
  info_.slope = header_.slope;
  info_.intercept = header_.intercept;
  info_.orientation = planar() ? "stored" : "???";
  for (size_t w = 0; w < 3; ++w) {
    const auto [v, reversed] = directions_[w];
    info_.spacing_mm[w] = std::hypot(header_.axes[0][v], header_.axes[1][v], header_.axes[2][v]) *
                          millimetres(header_.space_units);
    if (!planar()) info_.orientation[v] = reversed ? kFalling[w] : kRising[w];
  }
  info_.orientation_known = header_.orientation_known && !planar();
  info_.space_units = nifti_unit_name(header_.space_units);
  info_.time_units = nifti_unit_name(header_.time_units);
}

size_t NiftiVolume::slices(SlicePlane plane) const {
  return planar() ? 1 : header_.dims[directions_[layout_of(plane).slice].axis];
}

VoxelCut NiftiVolume::stored_plane() const {
  const auto [cols, rows] = std::pair(header_.dims[0], header_.dims[1]);
  return {.rows = rows, .cols = cols, .first = 0, .down = static_cast<int64_t>(cols), .right = 1};
}

VoxelCut NiftiVolume::cut_of(SlicePlane plane, size_t index, size_t time) const {
  if (planar()) return stored_plane();
  const Layout layout = layout_of(plane);
  const Direction slice = directions_[layout.slice], row = directions_[layout.row],
                  col = directions_[layout.col];
  const auto& dims = header_.dims;
  const auto stride = [&](size_t axis) { return static_cast<int64_t>(strides_[axis]); };
  const auto last = [&](size_t axis) { return static_cast<int64_t>(dims[axis] - 1) * stride(axis); };
  const auto volume = static_cast<int64_t>(dims[0] * dims[1] * dims[2]);
  const bool backwards = slice.reversed != layout.slices_reversed;
  const auto position = static_cast<int64_t>(backwards ? dims[slice.axis] - 1 - index : index);

  // Rows and columns run against their direction, so a reversed axis is followed as it is stored.
  VoxelCut cut{.rows = dims[row.axis], .cols = dims[col.axis]};
  cut.first = static_cast<int64_t>(time) * volume + position * stride(slice.axis) +
              (row.reversed ? 0 : last(row.axis)) + (col.reversed ? 0 : last(col.axis));
  cut.down = row.reversed ? stride(row.axis) : -stride(row.axis);
  cut.right = col.reversed ? stride(col.axis) : -stride(col.axis);
  return cut;
}

Frame NiftiVolume::slice(SlicePlane plane, size_t index, size_t time) const {
  check_index("slice", index, slices(plane));
  check_index("time", time, times());
  const VoxelCut cut = cut_of(plane, index, time);
  if (cut.rows > max_slice_pixels_ / cut.cols)
    throw Error(ErrorCode::image_too_large, "NIfTI: the slice has " + std::to_string(cut.cols) + " x " +
                                                std::to_string(cut.rows) + " pixels, at most " +
                                                std::to_string(max_slice_pixels_) + " are allowed");
  if (header_.datatype == DT_RGB24 || header_.datatype == DT_RGBA32)
    return read_colour(cut, voxels_, header_);
  return read_grey(cut, voxels_, header_);
}

bool looks_like_nifti(std::span<const std::byte> bytes) {
  try {
    return has_nifti_magic(head_of(bytes));
  } catch (const Error&) {
    return false;  // damaged gzip data
  }
}

}  // namespace mii
