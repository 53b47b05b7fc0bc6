#include "serve/hosts.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "serve/cors.h"

namespace mii::serve {
namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return lower;
}

// "name" of "Name:8000", "[::1]" of "[::1]:8000".
std::string without_port(std::string_view host) {
  const size_t colon = host.find(':', host.starts_with('[') ? std::min(host.find(']'), host.size()) : 0);
  std::string name = lower_case(host.substr(0, colon));
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool is_loopback(const std::string& host) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  return host == "localhost" || (!error && address.is_loopback());
}

}  // namespace

bool is_bound_to_loopback(const ServeOptions& options) { return is_loopback(options.host); }

Hosts::Hosts(const ServeOptions& options) {
  const bool open_to_this_machine = is_bound_to_loopback(options) && options.keys_file.empty();
  if (options.allowed_hosts.empty() && !open_to_this_machine) return;
  const bool is_v6 = options.host.find(':') != std::string::npos;
  names_ = {"localhost", "127.0.0.1", "[::1]",
            is_v6 ? std::string("[").append(lower_case(options.host)).append("]") : lower_case(options.host)};
  for (const std::string& name : options.allowed_hosts) names_.push_back(without_port(name));
}

bool Hosts::allow(std::string_view host) const {
  if (names_.empty() || host.empty()) return true;
  return std::ranges::find(names_, without_port(host)) != names_.end();
}

bool is_from_foreign_origin(const Request& request, const ServeOptions& options) {
  const std::string_view origin = request.header("origin");
  if (origin.empty()) return request.header("sec-fetch-site") == "cross-site";
  if (!cors_headers(request, options).empty()) return false;
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return true;  // "null"
  return lower_case(origin.substr(scheme + 3)) != lower_case(request.header("host"));
}

}  // namespace mii::serve
