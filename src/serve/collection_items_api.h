#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// /collections/{name}/items: list, get, add and delete.
class CollectionItemsApi final : public Api {
 public:
  explicit CollectionItemsApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
