#pragma once

#include <cstdlib>
#include <filesystem>

namespace mii {

/// The folder with real/computed-tomography.jpg, real/ultrasound.jpg and real/x-ray.jpg, which are no part of
/// the project: the one that MII_SHARED_GOLDEN names, or ../shared/golden beside the checkout; empty where
/// neither is.
inline std::filesystem::path real_images() {
  const char* given = std::getenv("MII_SHARED_GOLDEN");
  const std::filesystem::path folder =
      given != nullptr ? given : std::filesystem::path(MII_TEST_DATA) / "../../../shared/golden";
  return std::filesystem::is_directory(folder / "real") ? folder : std::filesystem::path();
}

}  // namespace mii
