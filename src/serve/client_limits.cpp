#include "serve/client_limits.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

namespace mii::serve {

namespace ip = boost::asio::ip;

std::string client_of_address(std::string_view text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(text, error);
  if (error || address.is_v4()) return std::string(text);
  if (address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6()).to_string();
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
  return ip::address_v6(bytes).to_string() + "/64";
}

bool ConnectionCounts::open(const std::string& client) {
  const auto known = open_.find(client);
  if (known == open_.end()) {
    open_.emplace(client, 1);
    return true;
  }
  if (most_ != 0 && known->second >= most_) return false;
  ++known->second;
  return true;
}

void ConnectionCounts::close(const std::string& client) {
  const auto known = open_.find(client);
  if (--known->second == 0) open_.erase(known);
}

RequestRate::Bucket& RequestRate::bucket_of(const std::string& client, Clock::time_point now) {
  const auto known = buckets_.find(client);
  if (known != buckets_.end()) {
    by_use_.splice(by_use_.begin(), by_use_, known->second);
    return *known->second;
  }
  if (buckets_.size() >= options_.max_clients) {
    buckets_.erase(by_use_.back().client);
    by_use_.pop_back();
  }
  by_use_.push_front({client, options_.burst, now});
  buckets_.emplace(client, by_use_.begin());
  return by_use_.front();
}

Seconds RequestRate::take(const std::string& client, Clock::time_point now) {
  Bucket& bucket = bucket_of(client, now);
  const double come_back = Seconds(now - bucket.filled).count() * options_.per_second;
  bucket.tokens = std::min(options_.burst, bucket.tokens + come_back);
  bucket.filled = now;
  if (bucket.tokens < 1) return Seconds((1 - bucket.tokens) / options_.per_second);
  bucket.tokens -= 1;
  return Seconds::zero();
}

}  // namespace mii::serve
