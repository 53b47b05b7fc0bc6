#include "serve/router.h"

#include <algorithm>
#include <set>

#include "mii/error.h"

namespace mii::serve {
namespace {

// Decoded, of "/a/b": "a", "b". Of what does not begin with a slash: none.
std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  while (path.starts_with('/')) {
    const size_t end = std::min(path.find('/', 1), path.size());
    segments.push_back(percent_decoded(path.substr(1, end - 1), false));
    path.remove_prefix(end);
  }
  return segments;
}

bool is_plain_name(std::string_view text) {
  return !text.empty() && text != "." && text != ".." &&
         text.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

// Of a parameter that takes these segments; empty when they are no names.
std::string joined(std::span<const std::string> segments) {
  std::string text;
  for (const std::string& segment : segments) {
    if (!is_plain_name(segment)) return {};
    text += (text.empty() ? "" : "/") + segment;
  }
  return text;
}

[[noreturn]] void throw_wrong(const Route& route, const char* what) {
  throw Error(ErrorCode::invalid_argument,
              "route " + std::string(route.method) + " " + std::string(route.path) + ": " + what);
}

}  // namespace

Router::Router(std::vector<std::unique_ptr<const Api>> apis) : apis_(std::move(apis)) {
  for (const auto& api : apis_)
    for (Route& route : api->routes()) {
      route.api = api.get();
      routes_.push_back(std::move(route));
    }
  for (const Route& route : routes_) add(route);
  std::ranges::sort(patterns_, {}, &Pattern::segments);
}

std::vector<Router::Segment> Router::parse(std::string_view pattern) {
  std::vector<Segment> segments;
  for (const std::string& text : segments_of(pattern)) {
    if (!text.starts_with('{') || !text.ends_with('}'))
      segments.push_back({Segment::Kind::word, text});
    else if (text.ends_with("...}"))
      segments.push_back({Segment::Kind::rest, text.substr(1, text.size() - 5)});
    else
      segments.push_back({Segment::Kind::parameter, text.substr(1, text.size() - 2)});
  }
  return segments;
}

void Router::add(const Route& route) {
  std::vector<Segment> segments = parse(route.path);
  if (segments.empty()) throw_wrong(route, "the path does not begin with a slash");
  std::set<std::string> names;
  for (size_t s = 0; s < segments.size(); ++s) {
    if (segments[s].kind == Segment::Kind::word) continue;
    if (segments[s].text.empty() || !names.insert(segments[s].text).second)
      throw_wrong(route, "a parameter without a name of its own");
    if (segments[s].kind == Segment::Kind::rest && s + 1 < segments.size())
      throw_wrong(route, "something follows the rest of the path");
  }
  auto pattern = std::ranges::find(patterns_, segments, &Pattern::segments);
  if (pattern == patterns_.end()) pattern = patterns_.insert(pattern, {std::move(segments), {}});
  if (std::ranges::find(pattern->routes, route.method, &Route::method) != pattern->routes.end())
    throw_wrong(route, "it is there twice");
  pattern->routes.push_back(&route);
}

bool Router::fits(const std::vector<Segment>& pattern, const std::vector<std::string>& path,
                  PathParameters& parameters) {
  const bool open = pattern.back().kind == Segment::Kind::rest;
  if (open ? path.size() < pattern.size() : path.size() != pattern.size()) return false;
  for (size_t s = 0; s < pattern.size(); ++s) {
    const auto& [kind, text] = pattern[s];
    if (kind == Segment::Kind::word) {
      if (path[s] != text) return false;
      continue;
    }
    const size_t count = kind == Segment::Kind::rest ? path.size() - s : 1;
    std::string value = joined(std::span(path).subspan(s, count));
    if (value.empty()) return false;
    parameters.emplace_back(text, std::move(value));
  }
  return true;
}

Router::Found Router::find(std::string_view method, std::string_view path) const {
  const std::vector<std::string> segments = segments_of(path);
  Found found;
  std::set<std::string_view> methods;
  for (const Pattern& pattern : patterns_) {
    PathParameters parameters;
    if (!fits(pattern.segments, segments, parameters)) continue;
    for (const Route* route : pattern.routes) {
      methods.insert(route->method);
      const bool asked_for = route->method == method || (method == "HEAD" && route->method == "GET");
      if (!asked_for || found.route != nullptr) continue;
      found.route = route;
      found.parameters = parameters;
    }
  }
  if (methods.contains("GET")) methods.insert("HEAD");
  for (const std::string_view known : methods)
    found.allow.append(found.allow.empty() ? "" : ", ").append(known);
  return found;
}

const Api& Router::api_of(std::string_view path) const {
  const Api* best = nullptr;
  for (const auto& api : apis_)
    if (path.starts_with(api->prefix()) && (best == nullptr || api->prefix().size() > best->prefix().size()))
      best = api.get();
  return best != nullptr ? *best : *apis_.front();
}

}  // namespace mii::serve
