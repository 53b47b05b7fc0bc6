#pragma once

#include "guarded.h"
#include "mii/engine.h"

namespace mii::python {

using GuardedEngine = Guarded<Engine>;

}  // namespace mii::python
