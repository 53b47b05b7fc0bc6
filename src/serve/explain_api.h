#pragma once

#include <vector>

#include "serve/api.h"
#include "serve/turns.h"

namespace mii::serve {

class Service;

/// POST /explain: where in images their scores come from.
class ExplainApi final : public Api {
 public:
  explicit ExplainApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Outcome explain(Request& request) const;

  Service& service_;
  Turns turns_{1};  // of requests whose maps the engine computes while they are written
};

}  // namespace mii::serve
