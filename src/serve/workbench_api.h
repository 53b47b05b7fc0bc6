#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

/// The page for people: GET / and its files.
class WorkbenchApi final : public Api {
 public:
  std::vector<Route> routes() const override;
};

}  // namespace mii::serve
