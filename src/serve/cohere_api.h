#pragma once

#include <string>
#include <vector>

#include "serve/api.h"
#include "serve/inputs.h"

// POST /providers/microsoft/v2/embed: the endpoint of the vendor's closed successor, in the shape of Cohere's
// v2 embed.

namespace mii::serve {

class Service;

Outcome embed(Request& request, const ApiContext& context);

class CohereApi final : public Api {
 public:
  explicit CohereApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;
  std::string_view prefix() const override { return "/providers/"; }
  Response error(int status, const std::string& message) const override;
  const char* error_schema() const override { return "CohereError"; }

 private:
  Service& service_;
};

}  // namespace mii::serve
