#pragma once

#include <string>

#include "mii/error.h"

namespace mii::serve {

/// What the client sent cannot be taken: Error{invalid_argument}, which becomes a 400.
[[noreturn]] inline void refuse(const std::string& what) { throw Error(ErrorCode::invalid_argument, what); }

}  // namespace mii::serve
