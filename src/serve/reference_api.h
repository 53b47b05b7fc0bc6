#pragma once

#include <vector>

#include "serve/api.h"
#include "serve/inputs.h"

// POST /predict and POST /encode: what clients of the Python service send and get.

namespace mii::serve {

class Service;

Outcome predict(Request& request, const ApiContext& context);
Outcome encode(Request& request, const ApiContext& context);

class ReferenceApi final : public Api {
 public:
  explicit ReferenceApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
