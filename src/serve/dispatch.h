#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "serve/service.h"

namespace mii::serve {

/// Carries out a request whose body was read. gone: whether the client has left; its work is then given up.
/// The answer's status is 499 in that case.
boost::asio::awaitable<Response> dispatch(Service& service, const Route& route, Request& request,
                                          const std::function<bool()>& gone);

}  // namespace mii::serve
