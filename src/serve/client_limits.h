#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "serve/options.h"

namespace mii::serve {

/// Who stands behind an address for the limits of a client: an IPv4 address itself (also one written as
/// IPv6), the /64 of an IPv6 address, since one subscriber has all of it.
std::string client_of_address(std::string_view address);

/// The open connections of each client. One thread.
class ConnectionCounts {
 public:
  /// most: of one client; 0: any number.
  explicit ConnectionCounts(size_t most) : most_(most) {}

  /// False, and not counted, when the client has as many as it may have.
  bool open(const std::string& client);
  void close(const std::string& client);

 private:
  const size_t most_;
  std::unordered_map<std::string, size_t> open_;  // none that is zero
};

/// A bucket of tokens for each client: a request takes one, and they come back at the rate. Of clients beyond
/// max_clients the one that asked longest ago is forgotten. One thread.
class RequestRate {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    double per_second = 0;  ///< 0: no limit
    double burst = 1;       ///< tokens of a full bucket
    size_t max_clients = 10'000;
  };

  explicit RequestRate(Options options) : options_(options) {}

  bool is_limited() const { return options_.per_second > 0; }
  /// Zero when the client may ask now, and the request is counted; else how long it has to wait.
  Seconds take(const std::string& client, Clock::time_point now);
  size_t clients() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::string client;
    double tokens = 0;
    Clock::time_point filled;  // when tokens was true
  };
  Bucket& bucket_of(const std::string& client, Clock::time_point now);

  const Options options_;
  std::list<Bucket> by_use_;  // the last to ask is the first
  std::unordered_map<std::string, std::list<Bucket>::iterator> buckets_;
};

}  // namespace mii::serve
