#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// POST /collections/{name}/search: hits with evidence.
class CollectionSearchApi final : public Api {
 public:
  explicit CollectionSearchApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
