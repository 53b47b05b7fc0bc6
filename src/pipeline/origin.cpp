#include "pipeline/origin.h"

#include "core/file.h"
#include "image/frame_source.h"
#include "image/sniff.h"
#include "mii/error.h"

namespace mii::pipeline {

namespace {

bool is_dicom(std::span<const std::byte> start) { return sniff(start) == ImageFormat::dicom; }

Origin origin_of(const FrameSource& source) {
  if (source.dicom() == nullptr) return {};
  const DicomInfo& info = source.dicom()->info();
  return {info.patient_id,       info.study_instance_uid, info.series_instance_uid,
          info.sop_instance_uid, info.modality,           info.body_part};
}

}  // namespace

Origin origin_of(const std::filesystem::path& file) {
  constexpr size_t kSniffed = 4096;
  try {
    if (!is_dicom(read_start(file, kSniffed))) return {};
    return origin_of(FrameSource::read(file));
  } catch (const Error&) {
    return {};
  }
}

Origin origin_of(std::span<const std::byte> bytes) {
  try {
    if (!is_dicom(bytes)) return {};
    return origin_of(FrameSource::view(bytes));
  } catch (const Error&) {
    return {};
  }
}

std::vector<std::pair<std::string, std::string>> columns_of(const Origin& origin) {
  std::vector<std::pair<std::string, std::string>> columns{
      {"patient", origin.patient},   {"study", origin.study},       {"series", origin.series},
      {"instance", origin.instance}, {"modality", origin.modality}, {"body_part", origin.body_part}};
  std::erase_if(columns, [](const auto& column) { return column.second.empty(); });
  return columns;
}

}  // namespace mii::pipeline
