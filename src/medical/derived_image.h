#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mii {

/// An image that was made of a frame of a DICOM object.
struct DerivedImage {
  size_t width = 0;
  size_t height = 0;
  std::span<const uint8_t> rgb;  ///< [height, width, 3]
  size_t frame = 0;              ///< of the source, counted from 0
  std::string description;       ///< what it shows; printable ASCII
  std::string series_uid;        ///< of new_dicom_uid(): of all images that belong together in a study
  int number = 1;                ///< within the series
};

/// A UID that no other object has.
std::string new_dicom_uid();

}  // namespace mii
