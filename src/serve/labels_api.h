#pragma once

#include <vector>

#include "serve/api.h"
#include "serve/inputs.h"

// GET /labels: what images may be scored against, for pages that offer labels.

namespace mii::serve {

class Service;

Outcome list_labels(Request& request, const ApiContext& context);

class LabelsApi final : public Api {
 public:
  explicit LabelsApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
