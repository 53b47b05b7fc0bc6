#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace mii {

/// A backend as the program knows it before it is made. Each folder of src/backend/ has one function that
/// returns its entry, and registry.cpp lists them.
struct BackendEntry {
  std::string_view name;         ///< as --backend takes it
  std::string_view description;  ///< a few words for people

  /// Whether this machine has what it runs on.
  bool (*available)();
  /// What it computes in here, the fastest first; f32 is always among them. Only for an available one.
  std::vector<Precision> (*precisions)();
  std::unique_ptr<Backend> (*make)(const BackendOptions& options);
};

/// All that were built in, in the order in which "auto" prefers them.
std::span<const BackendEntry> backends();

/// The backend of this name; "auto" is the first that is available.
/// Throws Error{invalid_argument} for an unknown one, Error{unsupported} for one that cannot run here.
const BackendEntry& find_backend(std::string_view name);

/// "auto, cpu or reference", for messages.
std::string backend_names();

}  // namespace mii
