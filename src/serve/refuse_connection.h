#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace mii::serve {

/// Tells a client in plain HTTP that it has too many connections, and closes; takes a second at the most.
boost::asio::awaitable<void> refuse_connection(boost::asio::ip::tcp::socket socket);

}  // namespace mii::serve
