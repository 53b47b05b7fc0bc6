#pragma once

#include <vector>

#include "serve/api.h"
#include "serve/turns.h"

namespace mii::serve {

class Service;

/// POST /report: a draft of a report, written by a decoder; sentence by sentence where that is asked for.
class ReportApi final : public Api {
 public:
  explicit ReportApi(Service& service) : service_(service) {}

  std::vector<Route> routes() const override;

 private:
  Outcome report(Request& request) const;

  static constexpr size_t kReportsAtOnce = 4;  // each holds what was computed of its text

  Service& service_;
  Turns turns_{kReportsAtOnce};
};

}  // namespace mii::serve
