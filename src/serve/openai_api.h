#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mii/identity.h"
#include "serve/api.h"
#include "serve/inputs.h"

// POST /v1/embeddings and GET /v1/models, as OpenAI's clients call them.

namespace mii::serve {

class Service;

Outcome embeddings(Request& request, const ApiContext& context);
/// identity: of the model, when it is known.
Response models(const std::string& model_name, const std::optional<Identity>& identity);

class OpenaiApi final : public Api {
 public:
  explicit OpenaiApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;
  std::string_view prefix() const override { return "/v1/"; }
  Response error(int status, const std::string& message) const override;
  const char* error_schema() const override { return "OpenAIError"; }

 private:
  Service& service_;
};

}  // namespace mii::serve
