#pragma once

#include <exception>
#include <string>

namespace mii {

/// Why one input of many failed, for people: a sentence also for exceptions that are no Error.
std::string reason_of(const std::exception& failure);

}  // namespace mii
