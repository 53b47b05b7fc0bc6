#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace mii {

/// The files that a DICOMDIR lists, in its order; nullopt for a file that is not a DICOMDIR. Names that lead
/// out of its folder are left out. Source: DICOM PS3.3 F.3.
std::optional<std::vector<std::filesystem::path>> files_of_dicomdir(const std::filesystem::path& path,
                                                                    std::span<const std::byte> bytes);

}  // namespace mii
