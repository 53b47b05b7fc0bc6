#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// GET /heads and /heads/{name}: which heads /predict answers by, and how far to trust them.
class HeadsApi final : public Api {
 public:
  explicit HeadsApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Response list() const;
  Response describe(const Request& request) const;

  Service& service_;
};

}  // namespace mii::serve
