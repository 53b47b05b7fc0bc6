#pragma once

#include <vector>

#include "serve/api.h"
#include "serve/inputs.h"

// POST /score: a table of images and texts, as the vendor's endpoint takes it.

namespace mii::serve {

class Service;

Outcome score(Request& request, const ApiContext& context);

class ScoreApi final : public Api {
 public:
  explicit ScoreApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
