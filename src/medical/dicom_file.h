#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "medical/derived_image.h"
#include "medical/frame.h"
#include "medical/window.h"

namespace mii {

struct DicomLimits {
  uint64_t max_pixels = 100'000'000;  ///< rows * columns of a frame
};

/// What a DICOM object is. Values as stored, trimmed; empty or 0 when absent.
struct DicomInfo {
  std::string transfer_syntax;  ///< its name
  std::string sop_class;        ///< its name: "CT Image Storage"
  std::string modality;
  std::string body_part;
  std::string photometric_interpretation;
  size_t rows = 0;
  size_t cols = 0;
  size_t frames = 1;
  int samples = 1;
  int bits_allocated = 0;
  int bits_stored = 0;
  bool is_signed = false;
  bool burned_in_annotation = false;  ///< the object says that its pixels hold identifying text
  bool lossy = false;                 ///< it was compressed with loss at some time
  int series_number = 0;
  int instance_number = 0;
  // These identify a patient or an examination: never printed or logged unless a person asks for it.
  std::string patient_id;
  std::string study_instance_uid;
  std::string series_instance_uid;
  std::string sop_instance_uid;
};

/// Where a frame lies.
struct DicomPlace {
  std::optional<std::array<double, 3>> position_mm;  ///< Image Position (Patient)
  std::optional<std::array<double, 6>> orientation;  ///< Image Orientation (Patient): row, then column
};

/// Where a frame lies and how it is to be shown.
struct DicomFrameInfo : DicomPlace {
  std::vector<VoiWindow> windows;
  std::vector<LookupTable> voi_tables;
  std::optional<std::pair<double, double>> rescale;  ///< slope, intercept
  bool has_modality_table = false;
};

/// A DICOM object with pixels. Keeps a view of the bytes that it was opened with.
/// Safe to read from several threads at once.
class DicomFile {
 public:
  /// Part 10 files and bare data sets, in any transfer syntax of PS3.5 annex A except video. Throws
  /// Error{invalid_image} for damage and for objects without pixels, which it names (a structured report, a
  /// waveform); Error{unsupported} for a transfer syntax that it cannot decode; Error{image_too_large} beyond
  /// the limits. bytes must outlive the object.
  static DicomFile open(std::span<const std::byte> bytes, const DicomLimits& limits = {});

  DicomFile(DicomFile&&) noexcept;
  ~DicomFile();

  const DicomInfo& info() const;
  /// Throws Error{invalid_argument} for a frame beyond the last.
  DicomFrameInfo frame_info(size_t frame) const;
  /// Only the position; the cost does not depend on the frame's number or the object's size.
  DicomPlace place(size_t frame) const;
  /// The pixels: grey as stored, with the modality LUT or the rescale's numbers; colour as 8-bit RGB,
  /// whatever the photometric interpretation. Overlays are left off. Throws Error{invalid_image} for damage.
  Frame frame(size_t frame) const;

  /// What names the patient and the examination: attribute and value. For a person who asks.
  std::vector<std::pair<std::string, std::string>> identifying_attributes() const;

  /// A DICOM file of an image that was made of a frame of this one: a Secondary Capture of the same patient
  /// and study. Throws Error{invalid_argument} for an image of no pixels, or more than 65535 a side.
  std::vector<std::byte> secondary_capture(const DerivedImage& image) const;

 private:
  class Impl;
  explicit DicomFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii
