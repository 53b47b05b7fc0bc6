#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// GET /health, /livez, /readyz and /metrics: what operators ask.
class OperationsApi final : public Api {
 public:
  explicit OperationsApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Response health() const;
  Response ready() const;
  Response metrics() const;

  Service& service_;
};

}  // namespace mii::serve
