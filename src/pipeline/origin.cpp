#include "pipeline/origin.h"

#include "core/file.h"
#include "image/frame_source.h"
#include "image/sniff.h"
#include "mii/error.h"

namespace mii::pipeline {

Origin origin_of(const std::filesystem::path& file) {
  constexpr size_t kSniffed = 4096;
  try {
    if (sniff(read_start(file, kSniffed)) != ImageFormat::dicom) return {};
    const FrameSource source = FrameSource::read(file);
    if (source.dicom() == nullptr) return {};
    const DicomInfo& info = source.dicom()->info();
    return {info.patient_id,       info.study_instance_uid, info.series_instance_uid,
            info.sop_instance_uid, info.modality,           info.body_part};
  } catch (const Error&) {
    return {};
  }
}

}  // namespace mii::pipeline
