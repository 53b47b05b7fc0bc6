#pragma once

#include <span>

#include "serve/inputs.h"

// POST /v1/embeddings and GET /v1/models, as OpenAI's clients call them.

namespace mii::serve {

std::span<const Field> embeddings_fields();

Outcome embeddings(Request& request, const ApiContext& context);
Response models(const ApiContext& context);

}  // namespace mii::serve
