// The backends that tests of operators and towers run on. Links mii_cuda_on_host.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "backend/cuda/cuda_backend.h"
#include "backend/precision.h"
#include "backend/registry.h"

namespace mii {

/// All that were built in, and the device's kernels as loops on the host.
inline std::vector<BackendEntry> tested_backends() {
  std::vector<BackendEntry> all(backends().begin(), backends().end());
  all.push_back(cuda::device_backend());
  all.back().name = "cuda_on_host";
  return all;
}

/// name: one of names_of_tested_backends().
inline BackendEntry tested_backend(const std::string& name) {
  const std::vector<BackendEntry> all = tested_backends();
  return *std::ranges::find(all, name, &BackendEntry::name);
}

inline std::vector<std::string> names_of_tested_backends() {
  std::vector<std::string> names;
  for (const BackendEntry& entry : tested_backends()) names.emplace_back(entry.name);
  return names;
}

inline std::vector<Precision> all_precisions() {
  std::vector<Precision> all;
  for (const PrecisionInfo& info : precisions()) all.push_back(info.precision);
  return all;
}

}  // namespace mii
