#pragma once

#include <string>

#include "mii/error.h"

/// What an Error that `run` throws says, or "accepted".
template <typename Run>
std::string refusal(const Run& run) {
  try {
    run();
  } catch (const mii::Error& e) {
    return e.what();
  }
  return "accepted";
}
