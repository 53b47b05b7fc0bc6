#pragma once

#include <vector>

#include "serve/api.h"

namespace mii::serve {

class Service;

/// POST /draft: a draft of a report, quoted from similar images' reports.
class DraftApi final : public Api {
 public:
  explicit DraftApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Service& service_;
};

}  // namespace mii::serve
