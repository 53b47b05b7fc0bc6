// The service over the network: batches, back-pressure, health, stopping, limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace mii::serve
