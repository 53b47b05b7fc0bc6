// Opens a DICOM object and reads its first, middle and last frame; and reads the bytes as a DICOMDIR.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "mii/error.h"

#include "medical/dicom_directory.h"
#include "medical/dicom_file.h"
#include "medical/dicom_structure.h"
#include "medical/present.h"

namespace {

bool is_whole(const mii::GreyFrame& frame) {
  return frame.integers.size() + frame.reals.size() == frame.rows * frame.cols;
}
bool is_whole(const mii::ColourFrame& frame) { return frame.rgb.size() == frame.rows * frame.cols * 3; }

void read_frame(const mii::DicomFile& file, size_t index) {
  const mii::DicomFrameInfo info = file.frame_info(index);
  const mii::Frame frame = file.frame(index);
  if (!std::visit([](const auto& f) { return is_whole(f); }, frame)) std::abort();
  if (const auto* grey = std::get_if<mii::GreyFrame>(&frame))
    mii::render(*grey, mii::choose_mapping({}, *grey, mii::display_hints(file, info)).mapping);
}

template <typename Read>
void expect_error_or_result(const Read& read) {
  try {
    read();
  } catch (const mii::Error& error) {
    if (error.code() == mii::ErrorCode::internal) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  mii::looks_like_dicom(bytes);
  expect_error_or_result([&] { mii::files_of_dicomdir("/nonexistent/DICOMDIR", bytes); });
  expect_error_or_result([&] {
    const mii::DicomFile file = mii::DicomFile::open(bytes, {.max_pixels = 1 << 16});
    file.identifying_attributes();
    const size_t last = file.info().frames - 1;
    for (const size_t index : {size_t{0}, last / 2, last})
      expect_error_or_result([&] { read_frame(file, index); });
  });
  return 0;
}
