#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

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
/// The same of a file's bytes.
Origin origin_of(std::span<const std::byte> bytes);

/// What it says, under the names of a collection's columns: "patient", "study", ...
std::vector<std::pair<std::string, std::string>> columns_of(const Origin& origin);

}  // namespace mii::pipeline
