#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api.h"
#include "serve/http.h"

namespace mii::serve {

/// All routes, found by method and path.
///
/// A pattern's segments are words ("/collections/search"), "{name}" for any one segment, and, as the last,
/// "{name...}" for one or more. Where several patterns fit a path, a word goes before a parameter, and that
/// before the rest of a path. What parameters hold is decoded, and safe as a file's name: no segment of it is
/// empty, "." or "..", or has a slash or a NUL.
class Router {
 public:
  /// Throws Error{invalid_argument} for a pattern that is none, or a method that a pattern has twice.
  explicit Router(std::vector<std::unique_ptr<const Api>> apis);

  struct Found {
    const Route* route = nullptr;  ///< null: there is no such path, or it has no such method
    PathParameters parameters;
    std::string allow;  ///< the path's methods, as Allow lists them; empty: there is no such path
  };
  /// path: as sent. HEAD is answered by the route of GET.
  Found find(std::string_view method, std::string_view path) const;

  /// The API of a path that may be no route: the one with the longest prefix of it.
  const Api& api_of(std::string_view path) const;

  /// In the order of the APIs.
  std::span<const Route> routes() const { return routes_; }

 private:
  struct Segment {
    enum class Kind { word, parameter, rest };
    Kind kind;
    std::string text;  ///< the word, or the parameter's name
    auto operator<=>(const Segment&) const = default;
  };
  struct Pattern {
    std::vector<Segment> segments;
    std::vector<const Route*> routes;  ///< by methods
  };

  static std::vector<Segment> parse(std::string_view pattern);
  static bool fits(const std::vector<Segment>& pattern, const std::vector<std::string>& path,
                   PathParameters& parameters);
  void add(const Route& route);

  std::vector<std::unique_ptr<const Api>> apis_;
  std::vector<Route> routes_;
  std::vector<Pattern> patterns_;  // the most specific first
};

}  // namespace mii::serve
