#pragma once

#include "backend/registry.h"

namespace mii::cuda {

/// The backend on a device: on a real one, or on loops on the host, by what it is linked with.
BackendEntry device_backend();

}  // namespace mii::cuda
