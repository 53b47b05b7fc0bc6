#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// POST /render: an image as the model is given it, for people to look at.
class RenderApi final : public Api {
 public:
  explicit RenderApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
