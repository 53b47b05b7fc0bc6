#include "pipeline/map_files.h"

#include <algorithm>

#include "core/file.h"
#include "image/encode_png.h"
#include "mii/error.h"
#include "pipeline/npy.h"

namespace mii::pipeline {
namespace {

namespace fs = std::filesystem;

void write_npy(const fs::path& path, const maps::Explained& explained) {
  AtomicFile file(path);
  file.write(npy_header({explained.labels(), explained.rows(), explained.cols()}));
  for (size_t k = 0; k < explained.labels(); ++k) file.write(std::as_bytes(explained.map(k).values));
  file.commit();
}

// DICOM's text is in the encoding of its source, of which all have ASCII.
std::string description_of(const std::string& label, size_t k) {
  const bool ascii = std::ranges::all_of(label, [](char c) { return c >= ' ' && c <= '~' && c != '\\'; });
  constexpr size_t kMostLetters = 200;
  const std::string named =
      ascii && label.size() <= kMostLetters ? "'" + label + "'" : "label " + std::to_string(k + 1);
  return "Where in the image the score of " + named + " comes from: red speaks for it, blue against it";
}

}  // namespace

MapFiles::MapFiles(fs::path folder) : folder_(std::move(folder)), files_(DecodeLimits{}) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (!failed && !fs::is_directory(folder_)) failed = std::make_error_code(std::errc::not_a_directory);
  if (failed)
    throw Error(ErrorCode::io, folder_.string() + ": cannot be a folder of maps: " + failed.message());
}

std::string MapFiles::stem(const Source& source) {
  return std::to_string(source.index + 1) + "-" + fs::path(source.name).filename().string();
}

std::vector<std::byte> MapFiles::secondary_capture(const Source& source, const Image& overlay, size_t frame,
                                                   const std::string& description) {
  const auto opened = files_.open(source.path);
  const DicomFile& dicom = *opened->dicom();
  DerivedSeries& series = series_[dicom.info().study_instance_uid];
  if (series.uid.empty()) series.uid = new_dicom_uid();
  return dicom.secondary_capture({.width = overlay.width(),
                                  .height = overlay.height(),
                                  .rgb = overlay.pixels(),
                                  .frame = frame,
                                  .description = description,
                                  .series_uid = series.uid,
                                  .number = ++series.images});
}

void MapFiles::write(const Source& source, const Image& canvas, const maps::Explained& explained) {
  const std::string start = stem(source);
  const Provenance* made = canvas.provenance();
  const bool dicom = made != nullptr && made->format == to_string(ImageFormat::dicom);
  for (size_t k = 0; k < explained.labels(); ++k) {
    const std::string name = start + "-" + std::to_string(k + 1);
    const Image drawn = overlay(canvas, explained.map(k));
    write_file(folder_ / (name + ".png"), encode_png(drawn));
    if (dicom)
      write_file(
          folder_ / (name + ".dcm"),
          secondary_capture(source, drawn, made->frame, description_of(explained.question().labels[k], k)));
  }
  write_file(folder_ / (start + ".json"), explained_json(source.name, explained) + "\n");
  write_npy(folder_ / (start + ".npy"), explained);
}

}  // namespace mii::pipeline
