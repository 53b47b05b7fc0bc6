// Keys, foreign origins, and what the log and the metrics hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ServeSecurity, KeysOpenWhatTheyShouldAndAreReadAgain) {
  const auto path = std::filesystem::temp_directory_path() / ("mii-serve-keys-" + std::to_string(getpid()));
  std::ofstream(path) << "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n";  // "secret"
  ServeOptions options;
  options.keys_file = path;
  RunningServer server(options);
  const auto status = [&](const char* key) {
    return Client(server.port())
        .post("/encode", "{\"texts\":[\"a\"]}", "Authorization: Bearer " + std::string(key) + "\r\n")
        .status;
  };
  EXPECT_EQ(status("secret"), 200);
  EXPECT_EQ(status("wrong"), 401);
  const Reply none = Client(server.port()).post("/encode", "{}");
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.header("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(none.body, "{\"detail\":\"Not authenticated\"}");
  EXPECT_EQ(Client(server.port()).get("/metrics").status, 401);
  EXPECT_THAT(Client(server.port()).get("/v1/models").body, HasSubstr("\"authentication_error\""));
  for (const char* open : {"/health", "/livez", "/readyz", "/openapi.json", "/docs"})
    EXPECT_EQ(Client(server.port()).get(open).status, 200) << open;
  std::ofstream(path) << "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5\n";  // "12345"
  server.server().reload();
  EXPECT_TRUE(eventually([&] { return status("12345") == 200; }));
  EXPECT_EQ(status("secret"), 401);
  std::ofstream(path) << "nonsense\n";
  server.server().reload();
  EXPECT_TRUE(eventually([&] { return server.log().find("reload_failed") != std::string::npos; }));
  EXPECT_EQ(status("12345"), 200) << "a broken file leaves the old keys";
  std::filesystem::remove(path);
}

TEST(ServeSecurity, OtherOriginsAreAllowedOnlyWhenNamed) {
  const std::string ask = "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n";
  const auto preflight = [&](RunningServer& server) {
    Client client(server.port());
    client.send_text("OPTIONS /predict HTTP/1.1\r\nHost: t\r\n" + ask + "\r\n");
    return client.receive();
  };
  RunningServer closed;
  EXPECT_EQ(preflight(closed).status, 405);
  EXPECT_EQ(Client(closed.port())
                .get("/livez", "Origin: https://a.example\r\n")
                .header("Access-Control-Allow-Origin"),
            "");
  ServeOptions options;
  options.cors_origins = {"https://a.example"};
  RunningServer open(options);
  EXPECT_EQ(preflight(open).status, 204);
  EXPECT_EQ(Client(open.port())
                .get("/livez", "Origin: https://a.example\r\n")
                .header("Access-Control-Allow-Origin"),
            "https://a.example");
  EXPECT_EQ(Client(open.port())
                .get("/livez", "Origin: https://b.example\r\n")
                .header("Access-Control-Allow-Origin"),
            "");
}

TEST(ServeSecurity, TheLogHoldsNothingOfWhatClientsSend) {
  RunningServer server;
  Client client(server.port());
  client.post("/predict?patient=Meier",
              "{\"images\":[\"" + pnm_base64(3, 3) + "\"],\"labels\":[\"Meier tumour\"]}",
              "Authorization: Bearer my-secret\r\nX-Request-Id: run-7\r\n");
  client.post("/Meier", "{}");
  client.post(
      "/predict",
      "--B\r\nContent-Disposition: form-data; name=\"images\"; filename=\"Meier.dcm\"\r\n\r\nx\r\n--B--",
      "Content-Type: multipart/form-data; boundary=B\r\n");
  EXPECT_TRUE(eventually([&] { return server.log().find("\"status\":422") != std::string::npos; }));
  EXPECT_THAT(server.log(), HasSubstr("\"request_id\":\"run-7\""));
  EXPECT_THAT(server.log(), Not(HasSubstr("Meier")));
  EXPECT_THAT(server.log(), Not(HasSubstr("secret")));
  EXPECT_THAT(server.log(), Not(HasSubstr(pnm_base64(3, 3))));
  std::istringstream lines(server.log());
  for (std::string line; std::getline(lines, line);) EXPECT_NO_THROW(boost::json::parse(line)) << line;
}

TEST(ServeMetrics, CountsRequestsBatchesItemsAndTheCache) {
  RunningServer server;
  Client client(server.port());
  client.post("/encode", images_body({{1, 1}, {2, 2}}));
  client.post("/encode", "{\"texts\":[\"a\"]}");
  client.post("/nothing", "");
  const std::string text = client.get("/metrics").body;
  for (const char* line : {"mii_requests_total{method=\"POST\",route=\"/encode\",status=\"200\"} 2",
                           "mii_requests_total{method=\"POST\",route=\"other\",status=\"404\"} 1",
                           "mii_items_total{kind=\"image\"} 2", "mii_items_total{kind=\"text\"} 1",
                           "mii_text_cache_hits_total 3", "mii_text_cache_misses_total 4",
                           "mii_request_seconds_bucket{route=\"/encode\",le=\"+Inf\"} 2",
                           "mii_preprocess_seconds_count 2", "mii_queue_wait_seconds_count{kind=\"image\"} 2",
                           "mii_connections 1", "mii_ready 1", "mii_healthy 1"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes"));
}

}  // namespace
}  // namespace mii::serve
