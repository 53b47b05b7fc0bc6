#pragma once

#include <filesystem>
#include <string>

namespace mii::pipeline {

/// Where an image comes from, as its file says; empty where it does not. It identifies a patient: never
/// printed or logged unless a person asks for it.
struct Origin {
  std::string patient;   ///< Patient ID
  std::string study;     ///< Study Instance UID
  std::string series;    ///< Series Instance UID
  std::string instance;  ///< SOP Instance UID
  std::string modality;  ///< "CT", ...
  std::string body_part;
};

/// Of a DICOM file; all empty for any other, and for one that cannot be read.
Origin origin_of(const std::filesystem::path& file);

}  // namespace mii::pipeline
