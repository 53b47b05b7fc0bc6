#pragma once

#include <string>

namespace mii::cuda {

/// What CUDA says of this machine and of one of its devices. Versions are CUDA's: 13010 for 13.1.
struct Machine {
  bool driver_suffices = true;
  int driver_version = 0;  ///< the newest that the driver supports; 0 without a driver
  int needed_version = 0;
  std::string failure;  ///< of a question that it did not answer
  int devices = 0;
  // Of the device, where there is one of that number:
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
};

/// Why the machine's device `index` cannot be computed on, in a sentence; or nothing.
std::string obstacle(const Machine& machine, int index);

/// "13.1"
std::string version_text(int version);

}  // namespace mii::cuda
