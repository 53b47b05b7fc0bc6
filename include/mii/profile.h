#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mii/export.h"
#include "mii/provenance.h"

namespace mii {

/// How measured grey values (DICOM, NIfTI, TIFF of 32-bit, floating-point or signed numbers) become the 8
/// bits that the model sees. Colour images, and files that already hold 8-bit images (JPEG, PNG), stay as
/// they are under every profile.
///
/// "auto" decides by what the file is:
///   colour, palette                           as stored
///   US, and 8-bit ES, GM, SM, OP, XC          stored
///   CT                                        VOI of the file, else the window of its body part, else 40/400
///   CR, DX, MG, RG, PX, IO                    VOI of the file, else percentiles 1 to 99
///   MR, PT, NM, XA, all else, NIfTI, TIFF     percentiles 1 to 99
struct MII_API Profile {
  enum class Kind {
    automatic,
    window,      ///< `window`, by the formula of its function
    percentile,  ///< values from percentile `low` to `high` are spread over 0 to 255; padding does not count
    minmax,      ///< the same from the lowest to the highest value
    voi,         ///< the file's first VOI LUT or window; an error where it has none
    stored,      ///< the whole range of the stored bits
  };

  Kind kind = Kind::automatic;
  VoiWindow window;
  double low = 1;
  double high = 99;
  std::string name = "auto";  ///< as parse() takes it

  /// "auto", "voi", "stored", "minmax", "percentile:LOW,HIGH", "window:CENTER,WIDTH" or a preset's name.
  /// Throws Error{invalid_argument}, which lists them.
  static Profile parse(std::string_view text);

  /// A window with a name: ct-soft-tissue, ct-lung, ct-bone, ct-brain, ct-liver, ct-mediastinum.
  struct Preset {
    std::string_view name;
    double center;
    double width;
  };
  static std::span<const Preset> presets();
};

}  // namespace mii
