// The service on two devices, which break as told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "cuda_on_host.h"
#include "procedural_model.h"
#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

class ServeDevices : public testing::Test {
 protected:
  // As --devices with these numbers.
  std::unique_ptr<RunningServer> serve(std::vector<int> devices, bool resize_on_device = false) const {
    ServeOptions options;
    options.batching.max_batch = 2;
    return std::make_unique<RunningServer>(options, [this, devices, resize_on_device] {
      std::vector<Engine> engines;
      for (const int device : devices)
        engines.push_back(Engine::open(model_.folder(), {.precision = Precision::f32,
                                                         .backend = "cuda",
                                                         .device = device,
                                                         .resize_on_device = resize_on_device}));
      return std::make_unique<EngineModel>(std::move(engines));
    });
  }

  cuda::HostDevice::Faults& faults_ = cuda_on_host();
  const ProceduralModel model_{"tiny-a"};
  const std::string body_ = images_body({{8, 8}, {9, 8}, {8, 9}, {10, 8}, {8, 10}});
};

TEST_F(ServeDevices, GiveTheVectorsOfOneAndTheirMemoryIsMeasured) {
  const auto one = serve({1}), two = serve({0, 1});
  const Reply expected = Client(one->port()).post("/encode", body_);
  EXPECT_EQ(expected.status, 200);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Client(two->port()).post("/encode", body_).body, expected.body);
  const std::string metrics = Client(two->port()).get("/metrics").body;
  for (const char* device : {"0", "1"}) {
    const std::string label = std::string("{device=\"") + device + "\"} ";
    EXPECT_THAT(metrics, HasSubstr("mii_device_memory_total_bytes" + label + "8589934592\n"));
    EXPECT_THAT(metrics, HasSubstr("mii_device_lost" + label + "0\n"));
    EXPECT_THAT(metrics, HasSubstr("mii_device_memory_bytes" + label));
    EXPECT_THAT(metrics, Not(HasSubstr("mii_device_memory_bytes" + label + "0\n")));
  }
  EXPECT_THAT(Client(one->port()).get("/metrics").body, Not(HasSubstr("device=\"0\"")));
}

TEST_F(ServeDevices, ThatResizeGiveTheSameAnswers) {
  const auto plain = serve({0}), resizing = serve({0, 1}, true);
  const Reply expected = Client(plain->port()).post("/encode", body_);
  EXPECT_EQ(expected.status, 200);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Client(resizing->port()).post("/encode", body_).body, expected.body);
  const std::string shown = R"({"images":[")" + pnm_base64(9, 8) + R"("],"model_input":true})";
  EXPECT_EQ(Client(resizing->port()).post("/render", shown).body,
            Client(plain->port()).post("/render", shown).body);
}

TEST_F(ServeDevices, HaveTwoBatchesUnderWayEach) {
  std::vector<Engine> engines;
  for (const int device : {0, 1})
    engines.push_back(Engine::open(model_.folder(), {.backend = "cuda", .device = device}));
  EXPECT_EQ(EngineModel(std::move(engines)).batches_at_once(), 4u);
  EXPECT_EQ(EngineModel(Engine::open(model_.folder(), {.backend = "cpu"})).batches_at_once(), 1u);
}

TEST_F(ServeDevices, WhenOneIsLostTheOtherGoesOn) {
  const auto server = serve({0, 1});
  const Reply expected = Client(server->port()).post("/encode", body_);
  faults_.lost = 2;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Client(server->port()).post("/encode", body_).body, expected.body);
  EXPECT_EQ(Client(server->port()).get("/health").status, 200);
  const std::string metrics = Client(server->port()).get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("mii_device_lost{device=\"0\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("mii_device_lost{device=\"1\"} 1\n"));
}

// At once, not with the next of the service's own requests, 30 s later.
TEST_F(ServeDevices, WhenAllAreLostHealthSaysSoAndRequestsGet503) {
  for (const std::vector<int>& devices : {std::vector<int>{0}, {0, 1}}) {
    faults_.lost = 0;
    const auto server = serve(devices);
    EXPECT_EQ(Client(server->port()).get("/health").status, 200);
    faults_.lost = 3;
    const Reply reply = Client(server->port()).post("/encode", body_);
    EXPECT_EQ(reply.status, 503);
    EXPECT_THAT(reply.body, HasSubstr("the device was lost as told"));
    const Reply health = Client(server->port()).get("/health");
    EXPECT_EQ(health.status, 503);
    EXPECT_THAT(health.body, HasSubstr("the device is lost: start the service again"));
    EXPECT_EQ(Client(server->port()).get("/livez").status, 200);
    EXPECT_THAT(Client(server->port()).get("/metrics").body, HasSubstr("mii_healthy 0\n"));
    EXPECT_TRUE(eventually([&] { return server->log().find("\"unhealthy\"") != std::string::npos; }));
    EXPECT_EQ(server->log().find("\"unhealthy\""), server->log().rfind("\"unhealthy\"")) << "said once";
  }
}

TEST_F(ServeDevices, ABatchThatTheirMemoryDoesNotHoldIsAnsweredAllTheSame) {
  const Reply expected = Client(serve({0})->port()).post("/encode", body_);
  int64_t enough_for_one = 0;
  {
    const Engine engine = Engine::open(model_.folder(), {.precision = Precision::f32, .backend = "cuda"});
    const std::vector<uint8_t> pixels(engine.info().image_width * engine.info().image_height * 3);
    const Image image = Image::from_rgb(engine.info().image_width, engine.info().image_height, pixels);
    engine.encode_images({&image, 1});
    engine.encode_texts(std::vector<std::string>{"warm"});
    enough_for_one = static_cast<int64_t>(engine.device()->memory_bytes);
  }
  faults_.memory_limit = enough_for_one;
  const auto server = serve({0});
  EXPECT_EQ(Client(server->port()).post("/encode", body_).body, expected.body);
}

TEST(ServeBatches, AreComputedByAsManyThreadsAsTheModelSays) {
  auto fake = std::make_shared<FakeState>();
  fake->batches_at_once = 2;
  RunningServer server({}, [fake] { return std::make_unique<FakeModel>(fake); });
  const size_t before = fake->computed_images();
  fake->block(true);
  const auto ask = [&] { return Client(server.port()).post("/encode", images_body({{1, 1}})).status; };
  auto first = std::async(std::launch::async, ask);
  EXPECT_TRUE(eventually([&] { return fake->computed_images() == before + 1; }));
  auto second = std::async(std::launch::async, ask);
  EXPECT_TRUE(eventually([&] { return fake->computed_images() == before + 2; }));
  auto third = std::async(std::launch::async, ask);
  EXPECT_FALSE(eventually([&] { return fake->computed_images() == before + 3; }, 200)) << "both are busy";
  fake->block(false);
  EXPECT_EQ(first.get(), 200);
  EXPECT_EQ(second.get(), 200);
  EXPECT_EQ(third.get(), 200);
}

TEST(ServeBatches, OfADeviceThatIsLostGet503WithWhatWentWrong) {
  RunningServer server;
  server.fake->lost = true;
  const Reply reply = Client(server.port()).post("/encode", images_body({{1, 1}}));
  EXPECT_EQ(reply.status, 503);
  EXPECT_THAT(reply.body, HasSubstr("lost as told"));
  server.fake->lost = false;
  EXPECT_EQ(Client(server.port()).post("/encode", images_body({{1, 1}})).status, 200);
}

}  // namespace
}  // namespace mii::serve
