#pragma once

#include <span>

#include "serve/inputs.h"

// POST /predict and POST /encode: what clients of the Python service send and get.

namespace mii::serve {

std::span<const Field> predict_fields();
std::span<const Field> encode_fields();

Outcome predict(Request& request, const ApiContext& context);
Outcome encode(Request& request, const ApiContext& context);

}  // namespace mii::serve
