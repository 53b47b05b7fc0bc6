#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// GET /collections/{name}/map: where items lie, and by which values they are coloured.
class CollectionMapApi final : public Api {
 public:
  explicit CollectionMapApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
