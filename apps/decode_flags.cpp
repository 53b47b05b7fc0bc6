#include "decode_flags.h"

#include <charconv>

#include "mii/error.h"

namespace mii {

void DecodeFlags::add_to(CLI::App& command) {
  command
      .add_option("--profile", profile,
                  "DICOM and NIfTI: how values become grey: auto, voi, stored, minmax, percentile:LOW,HIGH, "
                  "window:CENTER,WIDTH, ct-soft-tissue, ct-lung, ct-bone, ct-brain, ct-liver, ct-mediastinum")
      ->capture_default_str();
  command.add_option("--frame", frame, "Of several: middle, all, or a number from 1")->capture_default_str();
  command.add_option("--plane", plane, "How NIfTI volumes are cut")
      ->check(CLI::IsMember({"axial", "coronal", "sagittal"}))
      ->capture_default_str();
  command.add_flag("--azure", azure,
                   "First to 512x512 and JPEG of quality 75, as the vendor's endpoint does");
}

DecodeOptions DecodeFlags::options() const {
  DecodeOptions options;
  options.profile = Profile::parse(profile);
  options.plane = plane == "coronal"    ? SlicePlane::coronal
                  : plane == "sagittal" ? SlicePlane::sagittal
                                        : SlicePlane::axial;
  if (azure) options.azure.emplace();
  if (frame == "middle" || frame == "all") return options;
  size_t number = 0;
  const auto [end, error] = std::from_chars(frame.data(), frame.data() + frame.size(), number);
  if (error != std::errc() || end != frame.data() + frame.size() || number == 0)
    throw Error(ErrorCode::invalid_argument,
                "--frame " + frame + ": expected middle, all, or a number from 1");
  options.frame = number - 1;
  return options;
}

}  // namespace mii
