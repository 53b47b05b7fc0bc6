#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// GET /collections and /collections/{name}: what can be searched.
class CollectionsApi final : public Api {
 public:
  explicit CollectionsApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
