#include "mii/series.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "core/file.h"
#include "core/folder.h"
#include "core/reason.h"
#include "image/frame_source.h"
#include "medical/dicom_directory.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using Vector = std::array<double, 3>;

constexpr double kSamePosition_mm = 1e-3;

double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Of the plane that rows and columns span.
Vector normal_of(const std::array<double, 6>& o) {
  return {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]};
}

struct FoundSlice {
  Slice slice;
  int instance = 0;
  std::optional<Vector> position;
  std::optional<Vector> normal;
};

struct FoundSeries {
  Series series;
  std::vector<FoundSlice> slices;
};

// By instance number, then frame: the order without geometry, and among slices at one place.
bool earlier(const FoundSlice& a, const FoundSlice& b) {
  return std::tie(a.instance, a.slice.file, a.slice.frame) <
         std::tie(b.instance, b.slice.file, b.slice.frame);
}

bool has_one_orientation(const std::vector<FoundSlice>& slices) {
  return std::ranges::all_of(slices, [&](const FoundSlice& s) {
    return dot(*s.normal, *slices.front().normal) > 0.999;  // 2.5 degrees
  });
}

void warn_of_spacing(const std::vector<FoundSlice>& slices, std::vector<std::string>& warnings) {
  std::vector<double> steps;
  for (size_t i = 1; i < slices.size(); ++i)
    steps.push_back(*slices[i].slice.position_mm - *slices[i - 1].slice.position_mm);
  const auto same = std::ranges::count_if(steps, [](double step) { return step < kSamePosition_mm; });
  if (same > 0) warnings.push_back(std::to_string(same) + " slices lie where another one lies");
  std::erase_if(steps, [](double step) { return step < kSamePosition_mm; });
  if (steps.size() < 2) return;
  std::vector<double> sorted = steps;
  std::ranges::sort(sorted);
  const double usual = sorted[sorted.size() / 2];
  const auto gaps = std::ranges::count_if(steps, [&](double step) { return step > 1.5 * usual; });
  if (gaps > 0) warnings.push_back(std::to_string(gaps) + " gaps between slices");
}

void put_in_order(FoundSeries& found) {
  auto& slices = found.slices;
  auto& warnings = found.series.warnings;
  std::ranges::sort(slices, earlier);
  const bool placed = std::ranges::all_of(slices, [](const FoundSlice& s) { return s.position && s.normal; });
  if (!placed) {
    if (slices.size() > 1)
      warnings.push_back("slices without a position: in order of their instance numbers");
  } else if (!has_one_orientation(slices)) {
    warnings.push_back("slices of several orientations: in order of their instance numbers");
  } else {
    for (FoundSlice& s : slices) s.slice.position_mm = dot(*s.position, *slices.front().normal);
    std::ranges::stable_sort(slices, {}, [](const FoundSlice& s) { return *s.slice.position_mm; });
    warn_of_spacing(slices, warnings);
  }
  const bool repeated =
      std::ranges::adjacent_find(slices, [](const FoundSlice& a, const FoundSlice& b) {
        return a.slice.frame == b.slice.frame && a.instance == b.instance && a.instance != 0;
      }) != slices.end();
  if (repeated) warnings.push_back("instance numbers are repeated");
  for (FoundSlice& s : slices) found.series.slices.push_back(std::move(s.slice));
}

class Scan {
 public:
  explicit Scan(SlicePlane plane) : plane_(plane) {}

  void add(const fs::path& path) {
    std::error_code unreadable;
    const fs::file_type type = fs::status(path, unreadable).type();
    if (type == fs::file_type::not_found)
      throw Error(ErrorCode::io, path.string() + ": no such file or folder");
    if (type != fs::file_type::directory) return add_file(path);
    FolderWalk found = walk_folder(path);
    for (auto& [unread, reason] : found.unreadable) scan_.skipped.push_back({unread, reason});
    for (const fs::path& file : found.files)
      if (file.filename() != "DICOMDIR") add_file(file);  // what it lists is in the folder
  }

  SeriesScan finish() {
    for (auto& [uids, found] : found_) {
      put_in_order(found);
      scan_.series.push_back(std::move(found.series));
    }
    std::ranges::stable_sort(scan_.series, [](const Series& a, const Series& b) {
      return std::tie(a.study_instance_uid, a.number) < std::tie(b.study_instance_uid, b.number);
    });
    return std::move(scan_);
  }

 private:
  void add_file(const fs::path& path) {
    if (!seen_.insert(path).second) return;
    try {
      const MappedFile file = MappedFile::open(path);
      const ImageFormat format = sniff(file.bytes());
      if (format != ImageFormat::dicom && format != ImageFormat::nifti)
        throw Error(ErrorCode::invalid_image, "neither a DICOM file nor a NIfTI volume");
      if (format == ImageFormat::dicom)
        if (const auto listed = files_of_dicomdir(path, file.bytes())) return add_files(*listed);
      // Only headers are read, so that the size of the file does not matter.
      const FrameSource source = FrameSource::view(file.bytes(), {.max_file_bytes = UINT64_MAX});
      source.dicom() != nullptr ? add_dicom(path, *source.dicom()) : add_nifti(path, *source.nifti());
    } catch (const std::exception& error) {
      scan_.skipped.push_back({path, reason_of(error)});
    }
  }

  void add_files(const std::vector<fs::path>& files) {
    for (const fs::path& file : files) add_file(file);
  }

  void add_nifti(const fs::path& path, const NiftiVolume& volume) {
    Series series{.modality = "NIfTI"};
    const size_t frames = volume.slices(plane_) * volume.times();
    for (size_t frame = 0; frame < frames; ++frame)
      series.slices.push_back({path, frame, frames, std::nullopt});
    if (volume.times() > 1)
      series.warnings.push_back(std::to_string(volume.times()) + " points in time, one after another");
    const Frame first = volume.slice(plane_, 0);
    std::visit([&](const auto& f) { series.rows = f.rows, series.cols = f.cols; }, first);
    scan_.series.push_back(std::move(series));
  }

  void add_dicom(const fs::path& path, const DicomFile& file) {
    const DicomInfo& info = file.info();
    // Without a UID a file is a series of its own.
    const std::string series_uid =
        info.series_instance_uid.empty() ? path.string() : info.series_instance_uid;
    FoundSeries& found = found_[{info.study_instance_uid, series_uid}];
    if (found.slices.empty())
      found.series = {.modality = info.modality,
                      .body_part = info.body_part,
                      .number = info.series_number,
                      .rows = info.rows,
                      .cols = info.cols,
                      .study_instance_uid = info.study_instance_uid,
                      .series_instance_uid = info.series_instance_uid};
    for (size_t frame = 0; frame < info.frames; ++frame) {
      const DicomPlace placed = file.place(frame);
      FoundSlice slice{
          {path, frame, info.frames, std::nullopt}, info.instance_number, placed.position_mm, std::nullopt};
      if (placed.orientation) slice.normal = normal_of(*placed.orientation);
      found.slices.push_back(std::move(slice));
    }
  }

  SlicePlane plane_;
  std::set<fs::path> seen_;
  std::map<std::pair<std::string, std::string>, FoundSeries> found_;  // by study and series
  SeriesScan scan_;
};

}  // namespace

SeriesScan find_series(std::span<const fs::path> paths, SlicePlane plane) {
  Scan scan(plane);
  for (const fs::path& path : paths) scan.add(path);
  return scan.finish();
}

}  // namespace mii
