#include "serve/hosts.h"

#include <gtest/gtest.h>

namespace mii::serve {
namespace {

TEST(ServeHosts, OnLoopbackWithoutKeysOnlyItsOwnNamesAreAllowed) {
  ServeOptions options;
  options.host = "127.0.0.2";
  const Hosts hosts(options);
  for (const char* host : {"localhost", "LocalHost:8000", "localhost.", "127.0.0.1:1", "[::1]", "[::1]:8000",
                           "127.0.0.2:8000", ""})
    EXPECT_TRUE(hosts.allow(host)) << host;
  for (const char* host : {"evil.example", "evil.example:8000", "127.0.0.1.evil.example", "127.0.0.3",
                           "localhost@evil.example", "[::2]:8000", "["})
    EXPECT_FALSE(hosts.allow(host)) << host;
}

TEST(ServeHosts, WithKeysOrOpenToTheNetworkThereIsNoCheckUnlessNamesAreGiven) {
  ServeOptions with_keys;
  with_keys.keys_file = "keys";
  ServeOptions open;
  open.host = "0.0.0.0";
  EXPECT_TRUE(Hosts(with_keys).allow("any.example"));
  EXPECT_TRUE(Hosts(open).allow("any.example"));
  open.allowed_hosts = with_keys.allowed_hosts = {"Mine.example", "yours.example:8443"};
  for (const Hosts& hosts : {Hosts(with_keys), Hosts(open)}) {
    EXPECT_TRUE(hosts.allow("mine.example:1"));
    EXPECT_TRUE(hosts.allow("yours.example"));
    EXPECT_FALSE(hosts.allow("any.example"));
  }
}

TEST(ServeHosts, AForeignOriginIsOneThatIsNeitherTheHostNorNamed) {
  ServeOptions options;
  options.cors_origins = {"https://named.example"};
  const auto foreign = [&](Headers headers) {
    Request request;
    request.headers = std::move(headers);
    return is_from_foreign_origin(request, options);
  };
  const std::pair<std::string, std::string> host{"host", "127.0.0.1:8000"};
  EXPECT_FALSE(foreign({host}));
  EXPECT_FALSE(foreign({host, {"origin", "http://127.0.0.1:8000"}}));
  EXPECT_FALSE(foreign({host, {"origin", "https://named.example"}, {"sec-fetch-site", "cross-site"}}));
  EXPECT_FALSE(foreign({host, {"sec-fetch-site", "none"}}));
  EXPECT_TRUE(foreign({host, {"origin", "http://127.0.0.1:8001"}}));
  EXPECT_TRUE(foreign({host, {"origin", "https://evil.example"}}));
  EXPECT_TRUE(foreign({host, {"origin", "null"}}));
  EXPECT_TRUE(foreign({host, {"sec-fetch-site", "cross-site"}}));
}

}  // namespace
}  // namespace mii::serve
