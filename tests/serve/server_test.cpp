// The service over the network: what a client and an operator see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>

#include "golden.h"
#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string images_body(std::initializer_list<std::pair<size_t, size_t>> sizes) {
  std::string list;
  for (const auto& [width, height] : sizes)
    list += (list.empty() ? "\"" : ",\"") + pnm_base64(width, height) + "\"";
  return "{\"images\":[" + list + "]}";
}

TEST(Serve, EachPictureGetsItsOwnVectorInTheOrderOfTheRequest) {
  RunningServer server;
  Client client(server.port());
  const Reply reply = client.post("/encode", images_body({{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}, {2, 1}}));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            "{\"image_embeddings\":[[1.0,2.0],[3.0,4.0],[5.0,6.0],[7.0,8.0],[9.0,10.0],[2.0,1.0]],"
            "\"text_embeddings\":null}");
  EXPECT_FALSE(reply.header("X-Request-Id").empty());
  for (const char* name : {"X-Queue-Ms", "X-Preprocess-Ms", "X-Inference-Ms", "X-Total-Ms"})
    EXPECT_GE(std::stod(reply.header(name)), 0) << name;
  EXPECT_EQ(client.post("/encode", "{\"texts\":[\"ab\",\"\",\"abc\"]}").body,
            "{\"image_embeddings\":null,\"text_embeddings\":[[2.0,0.0],[0.0,0.0],[3.0,0.0]]}");
}

TEST(Serve, RequestsOfManyClientsShareBatchesAndDoNotMix) {
  RunningServer server;
  server.fake->block(true);
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (size_t t = 1; t <= 24; ++t)
    threads.emplace_back([&, t] {
      Client client(server.port());
      const std::string expected = "[[" + std::to_string(t) + ".0,1.0]]";
      if (client.post("/encode", images_body({{t == 13 ? 40 : t, 1}}))
              .body.find(t == 13 ? "[[40.0,1.0]]" : expected) != std::string::npos)
        ++right;
    });
  // All but the first batch wait together.
  EXPECT_TRUE(eventually([&] {
    Client client(server.port());
    return client.get("/metrics").body.find("mii_admitted_items{kind=\"image\"} 24") != std::string::npos;
  }));
  server.fake->block(false);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 24);
  const std::lock_guard lock(server.fake->mutex);
  EXPECT_LT(server.fake->image_batches.size(), 24u);
  EXPECT_LE(*std::ranges::max_element(server.fake->image_batches), 4u);
}

TEST(Serve, APictureThatFailsIsNamedAndItsNeighboursInTheBatchAreNot) {
  RunningServer server;
  Client client(server.port());
  const Reply bad = client.post(
      "/encode", "{\"images\":[\"" + pnm_base64(1, 1) + "\",\"" + pnm_base64(1, 1) + "\",\"AAAA\"]}");
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(bad.body, HasSubstr("{\"detail\":\"Failed to process image: image 3 of 3: "));
  // 13 pixels make the fake model itself fail, in the batch of another client.
  server.fake->block(true);
  std::string other;
  std::thread first([&] { Client(server.port()).post("/encode", images_body({{2, 2}})); });
  std::thread good([&] {
    other = Client(server.port()).post("/encode", images_body({{3, 3}, {4, 4}})).body;
  });
  std::string failed;
  std::thread wrong([&] { failed = Client(server.port()).post("/encode", images_body({{13, 1}})).body; });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server.fake->block(false);
  first.join();
  good.join();
  wrong.join();
  EXPECT_THAT(other, HasSubstr("[[3.0,3.0],[4.0,4.0]]"));
  EXPECT_THAT(failed, HasSubstr("thirteen pixels wide"));
}

TEST(Serve, AFullQueueAnswers429WithRetryAfter) {
  ServeOptions options;
  options.batching.queue_images = 4;
  RunningServer server(options);
  server.fake->block(true);
  std::thread busy([&] {
    EXPECT_EQ(Client(server.port()).post("/encode", images_body({{1, 1}, {1, 1}, {1, 1}})).status, 200);
  });
  Client client(server.port());
  EXPECT_TRUE(eventually(
      [&] { return client.get("/metrics").body.find("items{kind=\"image\"} 3") != std::string::npos; }));
  const Reply refused = client.post("/encode", images_body({{1, 1}, {1, 1}}));
  EXPECT_EQ(refused.status, 429);
  EXPECT_GE(std::stoi(refused.header("Retry-After")), 1);
  server.fake->block(false);
  busy.join();
  EXPECT_EQ(client.post("/encode", images_body({{1, 1}, {1, 1}})).status, 200) << "the room is given back";
}

TEST(Serve, AClientThatLeavesTakesItsWorkAlong) {
  RunningServer server;
  server.fake->block(true);
  {
    const size_t before = server.fake->computed_images();
    Client busy(server.port());
    busy.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                   std::to_string(images_body({{1, 1}}).size()) + "\r\n\r\n" + images_body({{1, 1}}));
    EXPECT_TRUE(eventually([&] { return server.fake->computed_images() > before; }));
    Client leaving(server.port());
    const std::string body = images_body({{5, 5}, {5, 5}, {5, 5}});
    leaving.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body.size()) +
                      "\r\n\r\n" + body);
    EXPECT_TRUE(eventually([&] {
      return Client(server.port()).get("/metrics").body.find("items{kind=\"image\"} 4") != std::string::npos;
    }));
  }
  EXPECT_TRUE(eventually([&] { return server.log().find("\"status\":499") != std::string::npos; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  const size_t before = server.fake->computed_images();
  server.fake->block(false);
  EXPECT_TRUE(eventually([&] {
    return Client(server.port()).get("/metrics").body.find("items{kind=\"image\"} 0") != std::string::npos;
  }));
  EXPECT_EQ(server.fake->computed_images(), before) << "nothing of the client that left was computed";
}

TEST(Serve, DeadlinesByHeaderAndByOptionGive504) {
  ServeOptions options;
  options.deadline = Seconds(30);
  RunningServer server(options);
  server.fake->block(true);
  Client client(server.port());
  const Reply late = client.post("/encode", images_body({{1, 1}}),
                                 "Content-Type: application/json\r\nX-Request-Timeout: 0.2\r\n");
  EXPECT_EQ(late.status, 504);
  server.fake->block(false);
  for (const char* wrong : {"0", "-1", "nan", "inf", "1e99", "soon", "1 s"})
    EXPECT_EQ(
        client.post("/encode", images_body({{1, 1}}), "X-Request-Timeout: " + std::string(wrong) + "\r\n")
            .status,
        400)
        << wrong;
}

TEST(Serve, HealthTellsOfAStuckAndOfAFailingEngineAndOfRecovery) {
  ServeOptions options;
  options.watchdog_interval = Seconds(0.05);
  options.stuck_after = Seconds(0.3);
  RunningServer server(options);
  Client client(server.port());
  EXPECT_EQ(client.get("/health").body, "{\"status\":\"healthy\"}");
  EXPECT_EQ(client.get("/readyz").status, 200);
  server.fake->block(true);
  EXPECT_TRUE(eventually([&] { return client.get("/health").status == 503; }));
  EXPECT_THAT(client.get("/health").body, HasSubstr("the engine has not answered"));
  EXPECT_EQ(client.get("/livez").status, 200);
  server.fake->block(false);
  EXPECT_TRUE(eventually([&] { return client.get("/health").status == 200; }));
  server.fake->failing = true;
  EXPECT_TRUE(eventually([&] { return client.get("/health").status == 503; }));
  EXPECT_THAT(client.get("/health").body, HasSubstr("the engine fails: internal"));
  server.fake->failing = false;
  EXPECT_TRUE(eventually([&] { return client.get("/health").status == 200; }));
}

TEST(Serve, BeforeTheModelIsLoadedItLivesButIsNotReady) {
  std::promise<void> go;
  auto may_load = go.get_future().share();
  auto fake = std::make_shared<FakeState>();
  ServeOptions options;
  options.port = 0;
  options.allowed_hosts = {"t"};
  Server server(options, [](std::string_view) { return true; });
  std::thread thread([&] {
    server.run([&] {
      may_load.wait();
      return std::make_unique<FakeModel>(fake);
    });
  });
  Client client(server.port());
  EXPECT_EQ(client.get("/livez").status, 200);
  EXPECT_EQ(client.get("/readyz").status, 503);
  EXPECT_EQ(client.get("/health").status, 503);
  EXPECT_EQ(client.post("/encode", "{\"texts\":[\"a\"]}").status, 503);
  go.set_value();
  EXPECT_TRUE(eventually([&] { return client.get("/readyz").status == 200; }));
  EXPECT_EQ(client.post("/encode", "{\"texts\":[\"a\"]}").status, 200);
  server.stop();
  thread.join();
}

TEST(Serve, AModelThatCannotBeLoadedEndsTheService) {
  Server server({.port = 0}, [](std::string_view) { return true; });
  EXPECT_THROW(
      server.run([]() -> std::unique_ptr<const Model> { throw Error(ErrorCode::invalid_model, "no model"); }),
      Error);
}

TEST(Serve, StoppingFinishesWhatWasBegun) {
  RunningServer server;
  server.fake->block(true);
  Client idle(server.port());
  EXPECT_EQ(idle.get("/livez").status, 200);
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      if (Client(server.port()).post("/encode", images_body({{1, 1}})).status == 200) ++answered;
    });
  EXPECT_TRUE(eventually(
      [&] { return idle.get("/metrics").body.find("items{kind=\"image\"} 8") != std::string::npos; }));
  server.begin_stop();
  EXPECT_TRUE(idle.closed_within(5000));
  EXPECT_TRUE(eventually([&] {
    try {
      Client late(server.port());
      return false;
    } catch (const std::runtime_error&) {
      return true;
    }
  })) << "no new connections";
  server.fake->block(false);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 8);
  EXPECT_TRUE(server.stop());
}

TEST(Serve, StoppingDoesNotWaitBeyondTheDrainTime) {
  ServeOptions options;
  options.drain = Seconds(0.2);
  RunningServer server(options);
  server.fake->block(true);
  Client client(server.port());
  const std::string body = images_body({{1, 1}});
  client.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body.size()) +
                   "\r\n\r\n" + body);
  EXPECT_TRUE(eventually([&] { return server.fake->computed_images() > 1; }));
  server.begin_stop();
  server.wait_stopped();
  server.fake->block(false);
  EXPECT_FALSE(server.stop());
}

TEST(ServeLimits, BodiesHeadsAndCountsBeyondTheLimitsAreRefused) {
  ServeOptions options;
  options.limits = {
      .body_bytes = 1000, .header_bytes = 1000, .images = 2, .texts = 2, .text_bytes = 5, .json_depth = 5};
  RunningServer server(options);
  const auto status = [&](const std::string& body) {
    return Client(server.port()).post("/encode", body).status;
  };
  EXPECT_EQ(status("{\"texts\":[\"" + std::string(2000, 'a') + "\"]}"), 413);
  EXPECT_EQ(status("{\"texts\":[\"a\",\"b\",\"c\"]}"), 400);
  EXPECT_EQ(status("{\"texts\":[\"abcdef\"]}"), 400);
  EXPECT_EQ(status("{\"texts\":[\"abcde\"]}"), 200);
  EXPECT_EQ(status(images_body({{1, 1}, {1, 1}, {1, 1}})), 400);
  EXPECT_EQ(status("[[[[[[[]]]]]]]"), 400);
  Client chunked(server.port());
  chunked.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 10; ++i) chunked.send_text("c8\r\n" + std::string(200, 'a') + "\r\n");
  EXPECT_EQ(chunked.receive().status, 413);
  Client head(server.port());
  EXPECT_EQ(head.get("/livez", "X-Long: " + std::string(2000, 'a') + "\r\n").status, 431);
  Client garbage(server.port());
  garbage.send_text("no http at all\r\n\r\n");
  EXPECT_EQ(garbage.receive().status, 400);
  EXPECT_EQ(Client(server.port()).get("/livez").status, 200);
}

TEST(ServeLimits, BodiesInMemoryAreBoundedTogether) {
  ServeOptions options;
  options.limits.bodies_bytes = 100'000;
  RunningServer server(options);
  Client slow(server.port());
  slow.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" +
                 std::string(60'000, ' '));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(Client(server.port()).post("/encode", std::string(60'000, ' ')).status, 429);
  EXPECT_EQ(Client(server.port()).post("/encode", "{\"texts\":[\"a\"]}").status, 200);
}

TEST(ServeLimits, SlowAndSilentClientsAreCutOff) {
  ServeOptions options;
  options.limits.header_time = Seconds(0.3);
  options.limits.body_time = Seconds(0.3);
  options.limits.idle_time = Seconds(0.3);
  RunningServer server(options);
  Client silent(server.port());
  EXPECT_TRUE(silent.closed_within(3000));
  Client slow_head(server.port());
  const auto start = std::chrono::steady_clock::now();
  std::thread drip([&] {
    for (int i = 0; i < 30; ++i) {
      slow_head.send_text(i == 0 ? "G" : "E");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  EXPECT_TRUE(slow_head.closed_within(3000));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1200));
  drip.join();
  Client slow_body(server.port());
  slow_body.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_TRUE(slow_body.closed_within(3000));
}

TEST(ServeLimits, ConnectionsBeyondTheLimitAreClosedAndTheOthersServed) {
  ServeOptions options;
  options.limits.connections = 3;
  RunningServer server(options);
  Client a(server.port()), b(server.port()), c(server.port());
  for (Client* client : {&a, &b, &c}) EXPECT_EQ(client->get("/livez").status, 200);
  Client d(server.port());
  EXPECT_TRUE(d.closed_within(3000));
  EXPECT_EQ(a.get("/livez").status, 200);
}

TEST(ServeHttp, ConnectionsAreKeptAndPipelined) {
  RunningServer server;
  Client client(server.port());
  client.send_text(
      "GET /livez HTTP/1.1\r\nHost: t\r\n\r\nGET /nothing HTTP/1.1\r\nHost: t\r\n\r\nGET /livez "
      "HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(client.receive().body, "{\"detail\":\"Not Found\"}");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(client.closed_within(3000));
}

TEST(ServeHttp, ExpectContinueIsAnsweredAndRefusedRequestsAreNotRead) {
  RunningServer server;
  Client client(server.port());
  client.send_text("POST /encode HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n");
  client.send_text("{\"texts\":[\"a\"]}");
  EXPECT_EQ(client.receive().status, 200);
  Client other(server.port());
  other.send_text("POST /nothing HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n");
  EXPECT_EQ(other.receive().status, 404);
}

TEST(ServeHttp, MethodsAndRedirectsAreAnsweredAsStarletteDoes) {
  RunningServer server;
  Client client(server.port());
  const Reply method = client.get("/predict");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.header("Allow"), "POST");
  EXPECT_EQ(method.body, "{\"detail\":\"Method Not Allowed\"}");
  const Reply posted = client.post("/health", "");
  EXPECT_EQ(posted.status, 405);
  EXPECT_EQ(posted.header("Allow"), "GET, HEAD");
  EXPECT_EQ(client.get("/health/?x=1").header("Location"), "/health?x=1");
  client.send_text("HEAD /health HTTP/1.1\r\nHost: t\r\n\r\n");
  const Reply head = client.receive(300);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  Client fresh(server.port());
  EXPECT_EQ(fresh.get("/livez", "X-Request-Id: my-id\r\n").header("X-Request-Id"), "my-id");
}

// A way to get each error that is not the handler's own.
struct ErrorCase {
  const char* name;
  int status;
  std::function<Reply(const std::string& path)> provoke;
};

std::vector<ErrorCase> error_cases() {
  const std::string text =
      R"({"model":"medimageinsight","input":"a","images":[")" + pnm_base64(1, 1) + R"("],"labels":["a"]})";
  const auto post = [](const ServeOptions& options, const std::string& body,
                       const std::string& headers = {}) {
    return [=](const std::string& path) {
      RunningServer server(options);
      return Client(server.port()).post(path, body, headers);
    };
  };
  const auto late = [text](const std::string& path) {
    RunningServer server;
    server.fake->block(true);
    Reply reply = Client(server.port()).post(path, text, "X-Request-Timeout: 0.1\r\n");
    server.fake->block(false);
    return reply;
  };
  const auto failing = [text](const std::string& path) {
    RunningServer server;
    server.fake->failing = true;
    return Client(server.port()).post(path, text);
  };
  const auto loading = [text](const std::string& path) {
    std::promise<void> go;
    ServeOptions options;
    options.port = 0;
    options.allowed_hosts = {"t"};
    Server server(options, [](std::string_view) { return true; });
    std::thread thread([&] {
      server.run([&] {
        go.get_future().wait();
        return std::make_unique<FakeModel>(std::make_shared<FakeState>());
      });
    });
    Reply reply = Client(server.port()).post(path, text);
    go.set_value();
    server.stop();
    thread.join();
    return reply;
  };
  const auto keys = [text](const std::string& path) {
    const auto file = std::filesystem::temp_directory_path() / ("mii-error-keys-" + std::to_string(getpid()));
    std::ofstream(file) << "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n";
    ServeOptions options;
    options.keys_file = file;
    RunningServer server(options);
    std::filesystem::remove(file);
    return Client(server.port()).post(path, text);
  };
  const auto get = [](const std::string& path) {
    RunningServer server;
    return Client(server.port()).get(path);
  };
  const auto broken = [](const std::string& path) {
    RunningServer server;
    Client client(server.port());
    client.send_text("POST " + path + " HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
    return client.receive();
  };
  ServeOptions plain, small, few, slow;
  small.limits.body_bytes = 10;
  few.limits.bodies_bytes = 10;
  slow.limits.client_rate = 1e-3;
  slow.limits.client_burst = 1;
  const auto twice = [=](const std::string& path) {
    RunningServer server(slow);
    Client(server.port()).post(path, text);
    return Client(server.port()).post(path, text);
  };
  return {{"deadline that is no number", 400, post(plain, text, "X-Request-Timeout: soon\r\n")},
          {"broken chunks", 400, broken},
          {"no key", 401, keys},
          {"foreign origin", 403, post(plain, text, "Origin: http://evil.example\r\n")},
          {"wrong method", 405, get},
          {"large body", 413, post(small, text)},
          {"all bodies", 429, post(few, text)},
          {"rate", 429, twice},
          {"engine", 500, failing},
          {"loading", 503, loading},
          {"deadline", 504, late}};
}

bool is_openai_error(const std::string& body) {
  const auto value = boost::json::parse(body);
  const auto* error = value.as_object().if_contains("error");
  return error != nullptr && error->as_object().contains("message") && error->as_object().contains("type");
}

bool is_detail_error(const std::string& body) {
  const auto value = boost::json::parse(body);
  const auto* detail = value.as_object().if_contains("detail");
  return detail != nullptr && detail->is_string() && value.as_object().size() == 1;
}

TEST(ServeErrors, AreInTheWordsOfTheApiWhereverTheyArise) {
  for (const ErrorCase& wrong : error_cases()) {
    const Reply openai = wrong.provoke("/v1/embeddings");
    EXPECT_EQ(openai.status, wrong.status) << wrong.name;
    EXPECT_TRUE(is_openai_error(openai.body)) << wrong.name << ": " << openai.body;
    const Reply detail = wrong.provoke("/predict");
    EXPECT_EQ(detail.status, wrong.status) << wrong.name;
    EXPECT_TRUE(is_detail_error(detail.body)) << wrong.name << ": " << detail.body;
  }
}

TEST(ServeErrors, AnExceptionInAHandlerIsToldInTheWordsOfItsApi) {
  RunningServer server;
  server.fake->counting_failing = true;
  const Reply reply =
      Client(server.port()).post("/v1/embeddings", R"({"model":"medimageinsight","input":"a"})");
  EXPECT_EQ(reply.status, 500);
  EXPECT_TRUE(is_openai_error(reply.body)) << reply.body;
  EXPECT_THAT(reply.body, Not(HasSubstr("secret")));
}

TEST(ServeErrors, OfPathsThatAreNoneAreInTheWordsOfTheirNeighbours) {
  RunningServer server;
  Client client(server.port());
  const Reply openai = client.post("/v1/nothing", "{}"), detail = client.post("/predict/nothing", "{}");
  EXPECT_EQ(openai.status, 404);
  EXPECT_TRUE(is_openai_error(openai.body)) << openai.body;
  EXPECT_EQ(detail.status, 404);
  EXPECT_TRUE(is_detail_error(detail.body)) << detail.body;
  Client chunks(server.port());
  chunks.send_text("POST /v1/nothing HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
  const Reply broken = chunks.receive();
  EXPECT_EQ(broken.status, 400);
  EXPECT_TRUE(is_openai_error(broken.body)) << broken.body;
}

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

TEST(ServeForms, FilesAndRawBodiesGiveWhatBase64Gives) {
  RunningServer server;
  Client client(server.port());
  const std::string expected = "{\"image_embeddings\":[[3.0,2.0]],\"text_embeddings\":null}";
  EXPECT_EQ(client.post("/encode", images_body({{3, 2}})).body, expected);
  EXPECT_EQ(client.post("/encode", pnm(3, 2), "Content-Type: image/x-portable-graymap\r\n").body, expected);
  EXPECT_EQ(client
                .post("/encode",
                      "--B\r\nContent-Disposition: form-data; name=\"images\"; filename=\"x\"\r\n\r\n" +
                          pnm(3, 2) + "\r\n--B--",
                      "Content-Type: multipart/form-data; boundary=B\r\n")
                .body,
            expected);
  EXPECT_EQ(client
                .post("/predict?labels=a&labels=bb&multilabel=yes", pnm(3, 2),
                      "Content-Type: application/dicom\r\n")
                .status,
            200);
  EXPECT_EQ(client.post("/predict", pnm(3, 2), "Content-Type: image/png\r\n").body,
            R"({"detail":[{"type":"missing","loc":["body","labels"],"msg":"Field required","input":null}]})");
  EXPECT_EQ(client.post("/predict?labels=%ff", pnm(3, 2), "Content-Type: image/png\r\n").status, 400);
  EXPECT_EQ(
      client.post("/encode", "--B\r\nbroken", "Content-Type: multipart/form-data; boundary=B\r\n").status,
      400);
}

std::string predict_body(const std::vector<std::string>& labels, const std::vector<std::string>& templates) {
  return boost::json::serialize(boost::json::value{{"images", {pnm_base64(2, 1)}},
                                                   {"labels", boost::json::value_from(labels)},
                                                   {"templates", boost::json::value_from(templates)}});
}

// The fake model's vectors are [bytes of the text, 0], and an image's are [width, height].
TEST(ServePredict, TemplatesAreAveragedIntoTheLabelsVector) {
  RunningServer server;
  Client client(server.port());
  const Reply plain = client.post("/predict", predict_body({"a", "bbb"}, {}));
  // exp(2 * 1) and exp(2 * 3)
  EXPECT_NEAR(boost::json::parse(plain.body).at("predictions").at(0).at("bbb").as_double(),
              1 / (1 + std::exp(-4)), 1e-7);
  const Reply reply = client.post("/predict", predict_body({"a", "bbb"}, {"{}!", "x {}"}));
  ASSERT_EQ(reply.status, 200) << reply.body;
  // Both means are [1, 0].
  EXPECT_EQ(reply.body, R"({"predictions":[{"a":0.5,"bbb":0.5}]})");
  EXPECT_EQ(client
                .post("/predict?labels=a&labels=bbb&templates=%7B%7D!&templates=x+%7B%7D", pnm(2, 1),
                      "Content-Type: image/x-portable-graymap\r\n")
                .body,
            reply.body);
}

TEST(ServePredict, KnownLabelsNeedNoTexts) {
  // More prompts than the engine remembers texts.
  ServeOptions options;
  options.limits.texts = 5000;
  RunningServer server(options);
  Client client(server.port());
  std::vector<std::string> labels;
  for (int k = 0; k < 2500; ++k) labels.push_back("label " + std::to_string(k));
  const size_t warm = server.fake->computed_texts();
  const Reply first = client.post("/predict", predict_body(labels, {"{}", "a {}"}));
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(server.fake->computed_texts(), warm + 5000);
  const Reply second = client.post("/predict", predict_body(labels, {"{}", "a {}"}));
  EXPECT_EQ(server.fake->computed_texts(), warm + 5000);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(client.post("/predict", predict_body(labels, {"{}"})).status, 200);
  EXPECT_EQ(server.fake->computed_texts(), warm + 7500) << "other templates are another head";
}

TEST(ServePredict, WrongTemplatesAreRefused) {
  ServeOptions options;
  options.limits.texts = 4;
  RunningServer server(options);
  Client client(server.port());
  const auto refused = [&](const std::vector<std::string>& labels,
                           const std::vector<std::string>& templates) {
    const Reply reply = client.post("/predict", predict_body(labels, templates));
    EXPECT_EQ(reply.status, 400) << reply.body;
    return std::string(boost::json::parse(reply.body).at("detail").as_string());
  };
  EXPECT_THAT(refused({"a"}, {"no place"}), HasSubstr("template 1 has 0 places"));
  EXPECT_THAT(refused({"a"}, {"{}", "{} {}"}), HasSubstr("template 2 has 2 places"));
  EXPECT_THAT(refused({"a", " "}, {"{}"}), HasSubstr("label 2 is empty"));
  EXPECT_EQ(refused({"a", "b", "c"}, {"{}", "x {}"}),
            "labels in templates are 6 prompts, at most 4 a request");
  EXPECT_EQ(refused({std::string(4096, 'a')}, {"{}"}),
            "labels in templates are 4098 bytes, at most 4096 a request");
  EXPECT_EQ(refused({"a"}, {"{}", "{}", "{}", "{}", "{}"}), "5 texts, at most 4 a request");
  EXPECT_EQ(client.post("/predict", predict_body({"a", "a"}, {"{}", "x {}"})).status, 200);
  EXPECT_EQ(
      client.post("/predict", R"({"images":["AA"],"labels":["a"],"templates":"{}"})").body,
      R"({"detail":[{"type":"list_type","loc":["body","templates"],"msg":"Input should be a valid list",)"
      R"("input":"{}"}]})");
}

TEST(ServeIdentity, AnswersOfTheModelNameIt) {
  RunningServer server;
  Client client(server.port());
  const auto fingerprint = [&](const std::string& path, const std::string& body) {
    return client.post(path, body).header("X-Model-Identity");
  };
  ASSERT_TRUE(eventually([&] { return !fingerprint("/encode", images_body({{1, 1}})).empty(); }));
  const Identity identity{"weights", "config", "tokenizer", "f32", "profile auto", "1"};
  EXPECT_EQ(fingerprint("/encode", images_body({{1, 1}})), identity.fingerprint());
  EXPECT_EQ(fingerprint("/predict", predict_body({"a"}, {})), identity.fingerprint());
  EXPECT_EQ(fingerprint("/v1/embeddings", R"({"model":"medimageinsight","input":"a"})"),
            identity.fingerprint());
  Identity standardised = identity;
  standardised.preprocessing = "profile auto; to 512 pixels and JPEG of quality 75";
  EXPECT_EQ(
      fingerprint("/score", R"({"input_data":{"columns":["image"],"data":[[")" + pnm_base64(1, 1) + "\"]]}}"),
      standardised.fingerprint());
  EXPECT_EQ(fingerprint("/encode", "{}"), "") << "an answer without the model";
  const auto entry = boost::json::parse(client.get("/v1/models").body).at("data").at(0);
  EXPECT_EQ(Identity::parse(boost::json::serialize(entry.at("identity"))), identity);
}

TEST(ServeIdentity, IsAbsentUntilTheFilesAreDigestedAndNobodyWaits) {
  auto fake = std::make_shared<FakeState>();
  fake->block_digest(true);
  RunningServer server({}, [&] { return std::make_unique<FakeModel>(fake); });
  Client client(server.port());
  const Reply early = client.post("/encode", images_body({{1, 1}}));
  EXPECT_EQ(early.status, 200);
  EXPECT_EQ(early.header("X-Model-Identity"), "");
  EXPECT_THAT(client.get("/v1/models").body, Not(HasSubstr("identity")));
  fake->block_digest(false);
  EXPECT_TRUE(eventually([&] {
    return !client.post("/encode", images_body({{1, 1}})).header("X-Model-Identity").empty();
  }));
}

TEST(ServeIdentity, AStopDoesNotWaitForTheDigest) {
  auto fake = std::make_shared<FakeState>();
  fake->block_digest(true);
  RunningServer server({}, [&] { return std::make_unique<FakeModel>(fake); });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(server.stop());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(ServeOpenai, AnswersAsOpenAiDoes) {
  RunningServer server;
  Client client(server.port());
  EXPECT_EQ(client.post("/v1/embeddings", R"({"model":"medimageinsight","input":["abc","a"]})").body,
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[3.0,0.0]},)"
            R"({"object":"embedding","index":1,"embedding":[1.0,0.0]}],"model":"medimageinsight",)"
            R"("usage":{"prompt_tokens":4,"total_tokens":4}})");
  EXPECT_THAT(
      client.post("/v1/embeddings", R"({"model":"medimageinsight","input":"abc","encoding_format":"base64"})")
          .body,
      HasSubstr("\"embedding\":\"AABAQAAAAAA=\""));
  EXPECT_THAT(client
                  .post("/v1/embeddings",
                        R"({"model":"medimageinsight","modality":"image","input":["data:image/x;base64,)" +
                            pnm_base64(2, 3) + "\"]}")
                  .body,
              HasSubstr("[2.0,3.0]"));
  const Reply missing = client.post("/v1/embeddings", R"({"model":"other","input":"a"})");
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(missing.body, HasSubstr("\"code\":\"model_not_found\""));
  for (const char* wrong :
       {"[]", "{", R"({"input":"a"})", R"({"model":"medimageinsight"})",
        R"({"model":"medimageinsight","input":[]})", R"({"model":"medimageinsight","input":[1,2]})",
        R"({"model":"medimageinsight","input":"a","dimensions":1})",
        R"({"model":"medimageinsight","input":"http://127.0.0.1/x.png","modality":"image"})"}) {
    const Reply reply = client.post("/v1/embeddings", wrong);
    EXPECT_EQ(reply.status, 400) << wrong;
    EXPECT_THAT(reply.body, HasSubstr("{\"error\":{\"message\":")) << wrong;
  }
  EXPECT_THAT(client.get("/v1/models").body, HasSubstr("\"id\":\"medimageinsight\""));
}

TEST(ServeScore, AnswersRowByRowWithTheLogTemperature) {
  RunningServer server;
  Client client(server.port());
  const Reply reply = client.post(
      "/score",
      R"({"input_data":{"columns":["image","text"],"index":[0,1],"data":[["","abc"],{"image":")" +
          pnm_base64(4, 4) +
          R"(","text":"a"}]},"params":{"get_scaling_factor":true,"image_standardization_image_size":16}})");
  EXPECT_EQ(reply.body,
            R"([{"text_features":[3.0,0.0],"scaling_factor":0.0},)"
            R"({"image_features":[[16.0,16.0]],"text_features":[1.0,0.0],"scaling_factor":0.0}])");
  for (
      const char* wrong :
      {"{}", "[]", R"({"input_data":{}})", R"({"input_data":{"columns":["x"],"data":[[]]}})",
       R"({"input_data":{"columns":["text"],"data":[]}})",
       R"({"input_data":{"columns":["text"],"data":[["a","b"]]}})",
       R"({"input_data":{"columns":["text"],"data":[[1]]}})",
       R"({"input_data":{"columns":["text"],"data":[[""]]}})",
       R"({"input_data":{"columns":["text"],"data":[["a"]]},"params":{"image_standardization_image_size":1e9}})"}) {
    const Reply refused = client.post("/score", wrong);
    EXPECT_EQ(refused.status, 400) << wrong;
    EXPECT_THAT(refused.body, HasSubstr("{\"detail\":\"")) << wrong;
  }
}

TEST(ServePages, WithoutTheirScriptsTheySaySo) {
  RunningServer server;
  Client client(server.port());
  EXPECT_THAT(client.get("/docs").body, HasSubstr("without the scripts"));
  EXPECT_EQ(client.get("/docs/swagger-ui.css").status, 404);
  const auto document = boost::json::parse(client.get("/openapi.json").body);
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  for (const char* path : {"/predict", "/encode", "/health", "/v1/embeddings", "/v1/models", "/score",
                           "/livez", "/readyz", "/metrics"})
    EXPECT_TRUE(document.at("paths").as_object().contains(path)) << path;
}

// The rest speaks with the model that comes with the program.
class ServeBuiltIn : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<RunningServer>(ServeOptions{}, [] {
      return std::make_unique<EngineModel>(
          Engine::open(MII_STARTER, {.precision = Precision::f32, .threads = 1}));
    });
  }
  static void TearDownTestSuite() { server_.reset(); }
  static std::string picture(const char* name) {
    std::ostringstream text;
    text << std::ifstream(golden_folder() / "synthetic" / name, std::ios::binary).rdbuf();
    return text.str();
  }
  static std::unique_ptr<RunningServer> server_;
};
std::unique_ptr<RunningServer> ServeBuiltIn::server_;

TEST_F(ServeBuiltIn, PredictScoresLabelsInOtherLanguagesByTheirPrompts) {
  const auto ask = [](const char* labels) {
    return boost::json::parse(
               Client(server_->port())
                   .post(std::string("/predict?") + labels, picture("rgb.png"), "Content-Type: image/png\r\n")
                   .body)
        .as_object();
  };
  // 超声, X光片
  const auto chinese = ask("labels=%E8%B6%85%E5%A3%B0&labels=X%E5%85%89%E7%89%87");
  const auto english = ask("labels=ultrasound&labels=x-ray");
  EXPECT_EQ(english.size(), 1u);
  EXPECT_EQ(chinese.size(), 2u);
  const auto& scores = chinese.at("predictions").at(0);
  EXPECT_EQ(scores.at("超声"), english.at("predictions").at(0).at("ultrasound"));
  EXPECT_EQ(scores.at("X光片"), english.at("predictions").at(0).at("x-ray"));
  EXPECT_EQ(chinese.at("prompts"), boost::json::parse(R"({"超声":"ultrasound","X光片":"x-ray"})"));
}

TEST_F(ServeBuiltIn, PredictWarnsOfLabelsInAnotherScriptThatNobodyKnows) {
  const auto reply = Client(server_->port())
                         .post("/predict?labels=CT&labels=%E4%B8%80%E4%BA%8C", picture("rgb.png"),  // 一二
                               "Content-Type: image/png\r\n");
  const auto answer = boost::json::parse(reply.body).as_object();
  EXPECT_EQ(answer.at("predictions").at(0).as_object().size(), 2u);
  EXPECT_FALSE(answer.contains("prompts"));
  ASSERT_EQ(answer.at("warnings").as_array().size(), 1u);
  EXPECT_THAT(std::string(answer.at("warnings").at(0).as_string()), HasSubstr("一二"));
}

TEST_F(ServeBuiltIn, LabelsAreListedForPages) {
  Client client(server_->port());
  const auto all = boost::json::parse(client.get("/labels").body);
  EXPECT_EQ(all.at("language").as_string(), "en");
  EXPECT_GE(all.at("labels").as_array().size(), 900u);
  const auto some =
      boost::json::parse(client.get("/labels?modality=x-ray&language=zh&search=sarcoidosis").body);
  ASSERT_EQ(some.at("labels").as_array().size(), 1u);
  const auto& label = some.at("labels").at(0);
  EXPECT_EQ(label.at("prompt").as_string(), "x-ray chest posteroanterior sarcoidosis");
  EXPECT_EQ(label.at("label").as_string(), "X光 胸部 后前位 sarcoidosis");
  EXPECT_EQ(label.at("modality").at(0).as_string(), "X光");
  for (const char* wrong : {"language=xx", "modality=telepathy", "search=%ff"})
    EXPECT_EQ(client.get(std::string("/labels?") + wrong).status, 400) << wrong;
  const auto document = boost::json::parse(client.get("/openapi.json").body);
  EXPECT_EQ(document.at("paths").at("/labels").at("get").at("parameters").as_array().size(), 3u);
}

TEST_F(ServeBuiltIn, PredictGivesTheEnginesProbabilitiesInDescendingOrder) {
  const std::string file = picture("rgb.png");
  const Engine engine = Engine::open(MII_STARTER, {.precision = Precision::f32, .threads = 1});
  std::vector<Image> images;
  images.push_back(Image::decode(std::as_bytes(std::span(file))));
  const std::vector<std::string> labels{"X-Ray", "Ultrasound", "Dermoscopy"};
  const Matrix expected = engine.classify(images, labels);
  Client client(server_->port());
  const std::string body = "{\"images\":[\"" + encode_base64(std::as_bytes(std::span(file))) +
                           "\"],\"labels\":[\"X-Ray\",\"Ultrasound\",\"X-Ray\",\"Dermoscopy\"]}";
  const Reply reply = client.post("/predict", body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto scores = boost::json::parse(reply.body).at("predictions").as_array().at(0).as_object();
  ASSERT_EQ(scores.size(), 3u) << "a label given twice appears once";
  double last = 1, sum = 0;
  for (const auto& [label, p] : scores) {
    EXPECT_LE(p.as_double(), last);
    last = p.as_double();
    sum += last;
  }
  // Given twice it is scored twice: the three values and one more X-Ray make up 1. Four float32 terms.
  EXPECT_NEAR(sum + scores.at("X-Ray").as_double(), 1, 4 * 6e-8);
  EXPECT_NEAR(scores.at("Ultrasound").as_double() / scores.at("Dermoscopy").as_double() /
                  (double{expected.row(0)[1]} / double{expected.row(0)[2]}),
              1, 1e-5);
}

TEST_F(ServeBuiltIn, DamagedPicturesGetAnAnswerAndTheServiceGoesOn) {
  const std::string file = picture("rgb.png");
  for (size_t n = 1; n < file.size(); n += 1 + file.size() / 40) {
    const Reply reply =
        Client(server_->port()).post("/encode", file.substr(0, n), "Content-Type: image/png\r\n");
    EXPECT_EQ(reply.status, 400) << n;
    EXPECT_THAT(reply.body, HasSubstr("{\"detail\":\"Failed to process image: "));
  }
  // 30 000 by 30 000, claimed by a head of a few bytes.
  const Reply bomb =
      Client(server_->port())
          .post("/encode", "P5 30000 30000 255\n", "Content-Type: image/x-portable-graymap\r\n");
  EXPECT_EQ(bomb.status, 400);
  EXPECT_EQ(
      Client(server_->port()).post("/encode", pnm(1, 1), "Content-Type: image/x-portable-graymap\r\n").status,
      200);
  EXPECT_EQ(Client(server_->port()).get("/health").status, 200);
}

TEST_F(ServeBuiltIn, ARgbaPictureSimplyWorks) {
  EXPECT_EQ(
      Client(server_->port()).post("/encode", picture("rgba.png"), "Content-Type: image/png\r\n").status,
      200);
}

TEST_F(ServeBuiltIn, UsageCountsTheTokenizersTokens) {
  // "X-Ray" is x, -, ray between the start and the end.
  EXPECT_THAT(
      Client(server_->port()).post("/v1/embeddings", R"({"model":"medimageinsight","input":"X-Ray"})").body,
      HasSubstr("\"prompt_tokens\":5"));
}

}  // namespace
}  // namespace mii::serve
