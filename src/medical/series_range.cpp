#include <functional>
#include <memory>

#include "core/file.h"
#include "medical/nifti.h"
#include "medical/present.h"
#include "medical/value_range.h"
#include "mii/error.h"
#include "mii/series.h"

namespace mii {
namespace {

using Visit = std::function<void(const GreyFrame&, const DisplayHints&)>;

/// The measured values of slices; a file of many of them is opened once.
class FrameReader {
 public:
  explicit FrameReader(const DecodeOptions& options) : options_(options) {}

  // Colour has no values, and is passed over; so is what cannot be read: its error comes when it is decoded.
  void visit(const Slice& slice, const Visit& visit) {
    try {
      visit_frame(slice, visit);
    } catch (const std::exception&) {
    }
  }

 private:
  void visit_frame(const Slice& slice, const Visit& visit) {
    open(slice.file);
    if (nifti_) {
      const size_t slices = nifti_->slices(options_.plane);
      seen(nifti_->slice(options_.plane, slice.frame % slices, slice.frame / slices), {}, visit);
    } else {
      seen(dicom_->frame(slice.frame), display_hints(*dicom_, dicom_->frame_info(slice.frame)), visit);
    }
  }

  static void seen(const Frame& frame, const DisplayHints& hints, const Visit& visit) {
    if (const auto* grey = std::get_if<GreyFrame>(&frame)) visit(*grey, hints);
  }

  void open(const std::filesystem::path& path) {
    if (path == path_) return;
    dicom_.reset();
    nifti_.reset();
    file_.reset();
    path_.clear();
    file_.emplace(MappedFile::open(path));
    if (looks_like_nifti(file_->bytes()))
      nifti_.emplace(NiftiVolume::open(file_->bytes()));
    else
      dicom_.emplace(DicomFile::open(file_->bytes(), {.max_pixels = options_.limits.max_pixels}));
    path_ = path;
  }

  const DecodeOptions& options_;
  std::filesystem::path path_;
  std::optional<MappedFile> file_;
  std::optional<DicomFile> dicom_;
  std::optional<NiftiVolume> nifti_;
};

}  // namespace

std::optional<std::pair<double, double>> series_value_range(std::span<const Slice> slices,
                                                            const DecodeOptions& options) {
  FrameReader reader(options);
  std::optional<Profile> profile;
  ValueStatistics statistics;
  bool decided = false;
  for (const Slice& slice : slices) {
    reader.visit(slice, [&](const GreyFrame& frame, const DisplayHints& hints) {
      if (!decided) profile = value_profile(options.profile, frame, hints);
      decided = true;
      if (profile) statistics.add_range(frame);
    });
    if (decided && !profile) return std::nullopt;
  }
  if (!profile) return std::nullopt;
  ValueRange range = statistics.range();
  if (profile->kind == Profile::Kind::percentile) {
    for (const Slice& slice : slices)
      reader.visit(slice, [&](const GreyFrame& frame, const DisplayHints&) { statistics.add_values(frame); });
    range = statistics.percentiles(profile->low, profile->high);
  }
  return std::pair(range.low, range.high);
}

}  // namespace mii
