#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"
#include "serve/options.h"

namespace mii::serve {

/// Whether only this machine can call.
bool is_bound_to_loopback(const ServeOptions& options);

/// The names by which the service may be called. A page in a browser of this machine can make its own name
/// point here (DNS rebinding), and what it then sends has that name as its Host.
class Hosts {
 public:
  /// Checks when the service is bound to loopback and asks for no key, or when names are given.
  explicit Hosts(const ServeOptions& options);

  /// host: the header's value, of any port. A request without one comes from no browser and is let in.
  bool allow(std::string_view host) const;

 private:
  std::vector<std::string> names_;  // in lower case; empty: all
};

/// A request that a page of another origin sends: its Origin is neither the Host that it calls nor named by
/// the option, or the browser says that it comes from another site.
bool is_from_foreign_origin(const Request& request, const ServeOptions& options);

}  // namespace mii::serve
