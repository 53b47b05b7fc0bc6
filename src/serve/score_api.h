#pragma once

#include <span>

#include "serve/inputs.h"

// POST /score: a table of pictures and texts, as the vendor's endpoint takes it.

namespace mii::serve {

std::span<const Field> score_fields();

Outcome score(Request& request, const ApiContext& context);

}  // namespace mii::serve
