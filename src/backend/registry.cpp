#include "backend/registry.h"

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cuda/loader.h"
#include "backend/reference/reference_backend.h"
#include "mii/error.h"

namespace mii {

std::span<const BackendEntry> backends() {
  static const BackendEntry all[] = {cuda_backend(), cpu_backend(), reference_backend()};
  return all;
}

const BackendEntry& find_backend(std::string_view name) {
  const auto all = backends();
  const auto found = std::ranges::find_if(
      all, [&](const BackendEntry& b) { return name == "auto" ? b.available() : name == b.name; });
  if (found == all.end())
    throw Error(ErrorCode::invalid_argument,
                "backend '" + std::string(name) + "', expected " + backend_names());
  if (const std::string obstacle = found->obstacle(); !obstacle.empty())
    throw Error(ErrorCode::unsupported,
                "backend '" + std::string(name) + "' cannot run on this machine: " + obstacle);
  return *found;
}

std::string backend_names() {
  std::string names = "auto";
  for (const BackendEntry& backend : backends())
    names += (&backend == &backends().back() ? " or " : ", ") + std::string(backend.name);
  return names;
}

}  // namespace mii
