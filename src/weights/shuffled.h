#pragma once

#include <cstdint>
#include <filesystem>

namespace mii {

/// Copies a model folder, with the weights of the image tower shuffled within each matrix: a model of the
/// same statistics that has learnt nothing, for checking that what is said of a model depends on it. `to`
/// must not exist. Throws Error{io}, or as reading the folder does.
void write_shuffled_model(const std::filesystem::path& folder, const std::filesystem::path& to,
                          uint64_t seed);

}  // namespace mii
