#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "serve/client_limits.h"
#include "serve/service.h"

namespace mii::serve {

/// What all connections share. Used on the network's thread only.
struct Network {
  explicit Network(Service& s) : service(s), clients(s.options().limits.client_connections) {}

  Service& service;
  std::shared_ptr<boost::asio::ssl::context> tls;  ///< null: plain HTTP
  std::atomic<uint64_t> body_bytes = 0;  ///< bodies in memory; a worker may be the last to give one back
  ConnectionCounts clients;
  bool draining = false;
  /// One entry for each open connection: ends it if it waits for a request.
  std::list<std::function<void()>> connections;
};

/// Serves one client until it or the service is done.
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket socket, Network& network);

}  // namespace mii::serve
