// What keeps the service answering when something of it, or of its surroundings, does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <future>

#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kImage = "Content-Type: image/x-portable-graymap\r\n";
constexpr const char* kTokens = R"({"model":"medimageinsight","input":"a"})";

// Two workers, and a short patience with them.
ServeOptions impatient() {
  ServeOptions options;
  options.batching.decode_threads = 2;
  options.watchdog_interval = Seconds(0.05);
  options.stuck_after = Seconds(0.3);
  return options;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

void send_post(const Client& client, const std::string& path, const std::string& body,
               const std::string& headers) {
  client.send_text("POST " + path + " HTTP/1.1\r\nHost: t\r\n" + headers +
                   "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

TEST(ServeWatchdog, UploadsWhoseDecodingHangsMakeHealthFailUntilTheyGoOn) {
  RunningServer server(impatient());
  Client client(server.port());
  EXPECT_EQ(client.get("/health").status, 200);
  server.fake->block_preparing(true);
  Client first(server.port()), second(server.port());
  send_post(first, "/encode", pnm(1, 1), kImage);
  send_post(second, "/encode", pnm(1, 1), kImage);
  EXPECT_TRUE(eventually([&] { return client.get("/health").status == 503; }));
  EXPECT_THAT(client.get("/health").body, HasSubstr("a worker has been busy with one task"));
  EXPECT_TRUE(eventually([&] { return server.log().find("\"unhealthy\"") != std::string::npos; }));
  server.fake->block_preparing(false);
  EXPECT_TRUE(eventually([&] { return client.get("/health").status == 200; }));
  EXPECT_EQ(first.receive().status, 200);
}

TEST(ServeWatchdog, ParsingThatHangsMakesHealthFail) {
  RunningServer server(impatient());
  server.fake->block_counting(true);
  Client hanging(server.port());
  send_post(hanging, "/v1/embeddings", kTokens, "");
  EXPECT_TRUE(eventually([&] { return Client(server.port()).get("/health").status == 503; }));
  server.fake->block_counting(false);
  EXPECT_EQ(hanging.receive().status, 200);
}

// Nobody has sent anything: the service's own request finds out, on its way through a worker.
TEST(ServeWatchdog, AnIdleServiceAsksItselfTheWayOfARequest) {
  RunningServer server(impatient());
  server.fake->block_preparing(true);
  EXPECT_TRUE(eventually([&] { return Client(server.port()).get("/health").status == 503; }));
  server.fake->block_preparing(false);
  EXPECT_TRUE(eventually([&] { return Client(server.port()).get("/health").status == 200; }));
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(server.fake->mutex);
    return server.fake->text_batches.size() > 2 && server.fake->image_batches.size() > 2;
  })) << "a picture and a text, again and again";
}

TEST(ServeDeadline, WorkersThatHangInParsingGet504ToTheClientAtOnce) {
  RunningServer server(impatient());
  server.fake->block_counting(true);
  Client first(server.port()), second(server.port()), third(server.port());
  const auto start = std::chrono::steady_clock::now();
  send_post(first, "/v1/embeddings", kTokens, "X-Request-Timeout: 0.2\r\n");
  send_post(second, "/v1/embeddings", kTokens, "X-Request-Timeout: 0.2\r\n");
  EXPECT_EQ(first.receive(5000).status, 504);
  EXPECT_EQ(second.receive(5000).status, 504);
  // Both workers hang: this one waits for a worker only.
  send_post(third, "/encode", pnm(1, 1), std::string(kImage) + "X-Request-Timeout: 0.2\r\n");
  EXPECT_EQ(third.receive(5000).status, 504);
  EXPECT_LT(seconds_since(start), 5);
  EXPECT_TRUE(eventually([&] { return Client(server.port()).get("/health").status == 503; }));
  server.fake->block_counting(false);
  EXPECT_EQ(first.post("/encode", pnm(1, 1), kImage).status, 200) << "the connection goes on";
}

TEST(ServeDeadline, CoversDecoding) {
  RunningServer server(impatient());
  server.fake->block_preparing(true);
  Client client(server.port());
  EXPECT_EQ(client.post("/encode", pnm(1, 1), std::string(kImage) + "X-Request-Timeout: 0.2\r\n").status,
            504);
  server.fake->block_preparing(false);
}

TEST(ServeDeadline, CoversABodyThatComesSlowly) {
  ServeOptions options;
  options.deadline = Seconds(0.3);
  RunningServer server(options);
  Client client(server.port());
  client.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{");
  const Reply reply = client.receive(5000);
  EXPECT_EQ(reply.status, 504);
  EXPECT_THAT(reply.body, HasSubstr("the deadline has passed"));
  EXPECT_EQ(Client(server.port()).post("/encode", "{\"texts\":[\"a\"]}").status, 200);
}

TEST(ServeDeadline, AWorkerThatStillHangsDoesNotKeepTheServiceFromStopping) {
  ServeOptions options = impatient();
  options.drain = Seconds(0.2);
  RunningServer server(options);
  server.fake->block_counting(true);
  {
    Client client(server.port());
    send_post(client, "/v1/embeddings", kTokens, "X-Request-Timeout: 0.1\r\n");
    EXPECT_EQ(client.receive(5000).status, 504);
  }
  server.begin_stop();
  server.wait_stopped();
  server.fake->block_counting(false);
  EXPECT_FALSE(server.stop()) << "a worker was not done";
}

TEST(ServeFairness, ConnectionsOfOneAddressBeyondItsLimitGet429) {
  ServeOptions options;
  options.limits.client_connections = 2;
  RunningServer server(options);
  auto first = std::make_unique<Client>(server.port());
  Client second(server.port());
  EXPECT_EQ(first->get("/livez").status, 200);
  EXPECT_EQ(second.get("/livez").status, 200);
  Client third(server.port());
  const Reply refused = third.get("/livez");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_TRUE(third.closed_within(5000));
  EXPECT_THAT(second.get("/metrics").body, HasSubstr("mii_connections_refused_total{limit=\"client\"} 1"));
  first.reset();
  EXPECT_TRUE(eventually([&] { return Client(server.port()).get("/livez").status == 200; }));
}

TEST(ServeFairness, RequestsBeyondAClientsRateGet429AndProbesDoNot) {
  const auto path = std::filesystem::temp_directory_path() / ("mii-rate-keys-" + std::to_string(getpid()));
  std::ofstream(path) << "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n"   // "secret"
                      << "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5\n";  // "12345"
  ServeOptions options;
  options.keys_file = path;
  options.limits.client_rate = 0.01;
  options.limits.client_burst = 2;
  RunningServer server(options);
  Client client(server.port());
  const auto ask = [&](const char* key) {
    return client.post("/encode", "{\"texts\":[\"a\"]}",
                       "Authorization: Bearer " + std::string(key) + "\r\n");
  };
  EXPECT_EQ(ask("secret").status, 200);
  EXPECT_EQ(ask("secret").status, 200);
  const Reply refused = ask("secret");
  EXPECT_EQ(refused.status, 429);
  EXPECT_GE(std::stoi(refused.header("Retry-After")), 90) << "one token in a hundred seconds";
  EXPECT_EQ(ask("12345").status, 200) << "another key has its own";
  EXPECT_EQ(ask("guess").status, 401) << "a key that is not accepted counts for the address";
  EXPECT_EQ(ask("guess").status, 401);
  EXPECT_EQ(ask("guess").status, 429);
  for (int i = 0; i < 5; ++i)
    for (const char* probe : {"/health", "/livez", "/readyz"}) EXPECT_EQ(client.get(probe).status, 200);
  EXPECT_THAT(client.get("/metrics", "Authorization: Bearer 12345\r\n").body,
              HasSubstr("mii_requests_refused_total{reason=\"rate\"} 2"));
  std::filesystem::remove(path);
}

TEST(ServeBrowsers, AHostOfSomebodyElseIsRefused) {
  RunningServer server;
  Client client(server.port());
  client.send_text("GET /v1/models HTTP/1.1\r\nHost: evil.example:8000\r\n\r\n");
  const Reply refused = client.receive();
  EXPECT_EQ(refused.status, 421);
  EXPECT_THAT(refused.body, HasSubstr("--allowed-host"));
  client.send_text("GET /v1/models HTTP/1.1\r\nHost: localhost:8000\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

TEST(ServeBrowsers, PostsOfAForeignOriginAreRefusedAlsoWithoutAPreflight) {
  RunningServer server;
  Client client(server.port());
  const std::string body = "{\"texts\":[\"a\"]}";
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=B", "image/png", "application/json"})
    EXPECT_EQ(client
                  .post("/encode", body,
                        "Origin: https://evil.example\r\nContent-Type: " + std::string(type) + "\r\n")
                  .status,
              403)
        << type;
  EXPECT_EQ(client.post("/encode", body, "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_EQ(client.post("/encode", body, "Origin: http://t\r\nSec-Fetch-Site: same-origin\r\n").status, 200);
  EXPECT_THAT(client.get("/metrics").body, HasSubstr("mii_requests_refused_total{reason=\"origin\"} 6"));
}

TEST(ServeReload, AKeyFileThatBecameAPipeDoesNotStopTheNetwork) {
  const auto path = std::filesystem::temp_directory_path() / ("mii-pipe-keys-" + std::to_string(getpid()));
  std::ofstream(path) << "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n";  // "secret"
  ServeOptions options;
  options.keys_file = path;
  RunningServer server(options);
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  server.server().reload();
  EXPECT_TRUE(eventually([&] { return server.log().find("reload_failed") != std::string::npos; }, 3000));
  EXPECT_EQ(Client(server.port()).get("/livez").status, 200);
  EXPECT_EQ(Client(server.port()).get("/v1/models", "Authorization: Bearer secret\r\n").status, 200);
  std::filesystem::remove(path);
}

// The file is overwritten in place under a server that is already warm.
TEST(ServeWeights, OverwrittenUnderTheServerAreAnErrorThatTheLogExplains) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("mii-overwritten-" + std::to_string(getpid()));
  std::filesystem::copy(MII_STARTER, folder, std::filesystem::copy_options::recursive);
  ServeOptions options = impatient();
  options.stuck_after = Seconds(60);
  {
    RunningServer server(options, [&] {
      return std::make_unique<EngineModel>(Engine::open(folder, {.precision = Precision::f32, .threads = 1}));
    });
    EXPECT_EQ(Client(server.port()).get("/health").status, 200);
    for (const auto& file : std::filesystem::recursive_directory_iterator(folder / "vision_model"))
      std::filesystem::resize_file(file.path(), 4096);
    EXPECT_EQ(Client(server.port()).post("/encode", "{\"texts\":[\"never asked before\"]}").status, 500);
    EXPECT_TRUE(eventually([&] { return Client(server.port()).get("/health").status == 503; }));
    EXPECT_THAT(Client(server.port()).get("/health").body, HasSubstr("the engine fails: corrupt_weights"));
    EXPECT_TRUE(eventually([&] {
      return server.log().find("install a new file by renaming it over the old one") != std::string::npos;
    }));
  }
  std::filesystem::remove_all(folder);
}

TEST(ServeStop, AModelThatHangsWhileItIsLoadedIsWaitedForNoLongerThanDrain) {
  std::promise<void> release;
  const auto gate = release.get_future().share();
  ServeOptions options;
  options.port = 0;
  options.drain = Seconds(0.2);
  Server server(options, [](std::string_view) { return true; });
  auto finished = std::async(std::launch::async, [&] {
    return server.run(
        [gate]() -> std::unique_ptr<const Model> {
          gate.wait();
          return std::make_unique<FakeModel>(std::make_shared<FakeState>());
        },
        {});
  });
  server.stop();
  const bool ended = finished.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  release.set_value();
  ASSERT_TRUE(ended);
  EXPECT_FALSE(finished.get());
}

}  // namespace
}  // namespace mii::serve
