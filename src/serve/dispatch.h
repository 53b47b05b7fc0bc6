#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>

#include "serve/deadline.h"
#include "serve/service.h"

namespace mii::serve {

/// How long somebody waits for an answer.
struct Patience {
  Deadline deadline = kNoDeadline;  ///< then the answer is 504
  std::function<bool()> gone;       ///< whether the client has left; its work is then given up, status 499
};

/// Carries out a request whose body was read. The answer comes at once when patience ends, whatever the
/// workers are doing: they keep the request, and `held`, until they are done with it.
boost::asio::awaitable<Response> dispatch(Service& service, const Route& route, Request request,
                                          std::shared_ptr<void> held, const Patience& patience);

/// What connection and workers share of an answer that is sent as it is written.
struct Pieces {
  std::function<std::string()> more;
  std::string piece;
  bool failed = false;
};

/// Sets the next piece; an empty one ends the answer. Returns 200, or the status that the answer would have
/// had if it had not begun yet.
boost::asio::awaitable<int> write_more(Service& service, std::shared_ptr<Pieces> pieces,
                                       const Patience& patience);

}  // namespace mii::serve
