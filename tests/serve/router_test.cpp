// Paths and methods to routes and their parameters.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "mii/error.h"
#include "serve/openapi.h"
#include "serve/router.h"

namespace mii::serve {
namespace {

using Line = std::pair<std::string_view, std::string_view>;  // method and pattern

class SomeApi final : public Api {
 public:
  explicit SomeApi(std::vector<Line> lines, std::string_view prefix = "/")
      : lines_(std::move(lines)), prefix_(prefix) {}
  std::vector<Route> routes() const override {
    std::vector<Route> routes;
    for (const auto& [method, path] : lines_) routes.push_back({.method = method, .path = path});
    return routes;
  }
  std::string_view prefix() const override { return prefix_; }

 private:
  std::vector<Line> lines_;
  std::string_view prefix_;
};

Router router_of(std::vector<Line> lines) {
  std::vector<std::unique_ptr<const Api>> apis;
  apis.push_back(std::make_unique<SomeApi>(std::move(lines)));
  return Router(std::move(apis));
}

const std::vector<Line> kLines{{"GET", "/"},
                               {"GET", "/docs/{file...}"},
                               {"GET", "/docs"},
                               {"GET", "/collections/{name}"},
                               {"DELETE", "/collections/{name}"},
                               {"POST", "/collections/{name}/search"},
                               {"POST", "/collections/all"},
                               {"PUT", "/collections/{name}/images/{id}"}};

// "PATTERN name=value ...", or the methods that are allowed, or nothing.
std::string found(const Router& router, std::string_view method, std::string_view path) {
  const Router::Found found = router.find(method, path);
  if (found.route == nullptr) return found.allow.empty() ? "none" : "allow " + found.allow;
  std::string text(found.route->path);
  for (const auto& [name, value] : found.parameters) text += " " + name + "=" + value;
  return text;
}

TEST(Router, GivesHandlersThePartsOfThePath) {
  const Router router = router_of(kLines);
  EXPECT_EQ(found(router, "GET", "/"), "/");
  EXPECT_EQ(found(router, "POST", "/collections/chest/search"), "/collections/{name}/search name=chest");
  EXPECT_EQ(found(router, "PUT", "/collections/chest/images/7"),
            "/collections/{name}/images/{id} name=chest id=7");
  EXPECT_EQ(found(router, "GET", "/docs/a.js"), "/docs/{file...} file=a.js");
  EXPECT_EQ(found(router, "GET", "/docs/fonts/b.woff"), "/docs/{file...} file=fonts/b.woff");
  for (const char* path :
       {"", "*", "docs", "/nothing", "/collections", "/collections/a/b", "/Docs", "/docs//"})
    EXPECT_EQ(found(router, "GET", path), "none") << path;
}

TEST(Router, DecodesEachSegmentByItself) {
  const Router router = router_of(kLines);
  EXPECT_EQ(found(router, "GET", "/collections/chest%20x-ray"), "/collections/{name} name=chest x-ray");
  EXPECT_EQ(found(router, "GET", "/%64ocs"), "/docs");
  EXPECT_EQ(found(router, "GET", "/collections/a+b%zz"), "/collections/{name} name=a+b%zz");
}

TEST(Router, ParametersAreSafeAsNamesOfFiles) {
  const Router router = router_of(kLines);
  for (const char* path : {"/collections/", "/collections/.", "/collections/..", "/collections/%2e%2E",
                           "/collections/a%2fb", "/collections/a%00", "/docs/", "/docs/../x",
                           "/docs/a/%2e%2e/x", "/docs/a//b", "/docs/..%2fx", "/docs/a/"})
    EXPECT_EQ(found(router, "GET", path), "none") << path;
}

TEST(Router, AWordGoesBeforeAParameterInWhateverOrderTheyCome) {
  const std::vector<Line> lines{
      {"GET", "/{a}/{b...}"}, {"GET", "/{a}/x"}, {"GET", "/y/{b}"}, {"GET", "/y/x"}};
  const std::vector<Line> reverse(lines.rbegin(), lines.rend());
  for (const auto& order : {lines, reverse}) {
    const Router router = router_of(order);
    EXPECT_EQ(found(router, "GET", "/y/x"), "/y/x");
    EXPECT_EQ(found(router, "GET", "/y/z"), "/y/{b} b=z");
    EXPECT_EQ(found(router, "GET", "/z/x"), "/{a}/x a=z");
    EXPECT_EQ(found(router, "GET", "/z/z"), "/{a}/{b...} a=z b=z");
  }
}

TEST(Router, NamesAllMethodsOfAPath) {
  const Router router = router_of(kLines);
  EXPECT_EQ(found(router, "POST", "/collections/chest"), "allow DELETE, GET, HEAD");
  EXPECT_EQ(found(router, "GET", "/collections/chest/search"), "allow POST");
  // Two patterns fit this one: the methods of both answer.
  EXPECT_EQ(found(router, "POST", "/collections/all"), "/collections/all");
  EXPECT_EQ(found(router, "GET", "/collections/all"), "/collections/{name} name=all");
  EXPECT_EQ(found(router, "PUT", "/collections/all"), "allow DELETE, GET, HEAD, POST");
  EXPECT_EQ(found(router, "HEAD", "/collections/chest"), "/collections/{name} name=chest");
  EXPECT_EQ(found(router, "HEAD", "/collections/chest/search"), "allow POST");
}

TEST(Router, RefusesPatternsThatAreNone) {
  for (const auto& lines : std::vector<std::vector<Line>>{{{"GET", "docs"}},
                                                          {{"GET", "/{}"}},
                                                          {{"GET", "/{a}/{a}"}},
                                                          {{"GET", "/{a...}/b"}},
                                                          {{"GET", "/a"}, {"GET", "/a"}}})
    EXPECT_THROW(router_of(lines), Error) << lines[0].second;
}

TEST(Router, PathsOfNoRouteBelongToTheApiWithTheLongestPrefix) {
  std::vector<std::unique_ptr<const Api>> apis;
  apis.push_back(std::make_unique<SomeApi>(std::vector<Line>{{"GET", "/a"}}));
  apis.push_back(std::make_unique<SomeApi>(std::vector<Line>{{"GET", "/v1/b"}}, "/v1/"));
  const Api *first = apis[0].get(), *second = apis[1].get();
  const Router router(std::move(apis));
  EXPECT_EQ(&router.api_of("/v1/nothing"), second);
  EXPECT_EQ(&router.api_of("/v1"), first);
  EXPECT_EQ(&router.api_of("*"), first);
  EXPECT_EQ(router.find("GET", "/v1/b").route->api, second);
}

TEST(OpenApi, DescribesThePathsParametersAndEachMethod) {
  const Router router = router_of(kLines);
  const auto document = boost::json::parse(openapi_document(router.routes(), {}, false));
  const auto& path = document.at("paths").at("/collections/{name}");
  EXPECT_EQ(path.at("get").at("operationId"), "collections_name");
  EXPECT_EQ(path.at("delete").at("operationId"), "delete_collections_name");
  EXPECT_EQ(boost::json::serialize(path.at("get").at("parameters")),
            R"([{"name":"name","in":"path","required":true,"schema":{"type":"string"}}])");
}

}  // namespace
}  // namespace mii::serve
