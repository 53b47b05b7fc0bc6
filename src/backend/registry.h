#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/product_shape.h"

namespace mii {

/// A backend as the program knows it before it is made. Each folder of src/backend/ has one function that
/// returns its entry, and registry.cpp lists them.
struct BackendEntry {
  std::string_view name;         ///< as --backend takes it
  std::string_view description;  ///< a few words for people

  /// Why it cannot run here, in a few words; empty when it can.
  std::string (*obstacle)();
  /// What it computes in here, the fastest first; f32 is always among them. Only for an available one.
  std::vector<Precision> (*precisions)();
  std::unique_ptr<Backend> (*make)(const BackendOptions& options);
  /// Seconds that a product of this shape takes in the library that it multiplies with, the reference for all
  /// other rates; null for a backend that is not made to be fast.
  double (*product_seconds)(const BackendOptions& options, const ProductShape& shape) = nullptr;
  /// How many devices it can be made for.
  int (*devices)() = [] { return 1; };
  /// Whether it was installed for a purpose: `auto` then says why it does not take it.
  bool (*wanted)() = [] { return false; };

  bool available() const { return obstacle().empty(); }
};

/// All that were built in, in the order in which "auto" prefers them.
std::span<const BackendEntry> backends();

/// The backend of this name; "auto" is the first that is available.
/// Throws Error{invalid_argument} for an unknown one, Error{unsupported} for one that cannot run here, with
/// the reason.
const BackendEntry& find_backend(std::string_view name);

/// "auto, cuda, cpu or reference", for messages.
std::string backend_names();

}  // namespace mii
