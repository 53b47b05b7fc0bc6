// Fitted heads in the service: /predict by a head, /heads, and their reload.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "heads/head_file.h"
#include "mii/error.h"
#include "running_server.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;

// The fake model's vectors are an image's width and height; this head asks which is larger.
void write_wide_or_high(const std::filesystem::path& file, const std::string& weights = "weights") {
  heads::HeadParts parts{.field = "shape", .labels = {"wide", "high"}, .coefficients = heads::Rows64(2, 3)};
  parts.coefficients.row(0)[0] = parts.coefficients.row(1)[1] = 1;
  parts.points = {{{"youden", 0.5f, {.true_positives = 1, .true_negatives = 1}}}, {}};
  parts.identity = {weights, "config", "tokenizer", "f32", "profile auto", "1"};
  write_head(heads::FittedHead(std::move(parts)), file);
}

class ServeHeads : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("mii-serve-heads-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    write_wide_or_high(folder_ / "shape.head");
    options_.heads_folder = folder_;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::string ask(const std::string& head, const std::string& more = "") {
    return "{\"images\":[\"" + pnm_base64(9, 8) + "\"],\"head\":\"" + head + "\"" + more + "}";
  }

  std::filesystem::path folder_;
  ServeOptions options_;
};

TEST_F(ServeHeads, PredictAnswersByAHeadWithBands) {
  RunningServer server(options_);
  Reply reply;
  ASSERT_TRUE(eventually([&] {
    reply = Client(server.port()).post("/predict", ask("shape"));
    return reply.status == 200;  // 503 until the model's digest is known
  })) << reply.body;
  const auto answer = boost::json::parse(reply.body).as_object();
  const auto& predictions = answer.at("predictions").as_array()[0].as_object();
  EXPECT_EQ(predictions.begin()->key(), "wide");
  EXPECT_NEAR(predictions.begin()->value().as_double(), 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_EQ(boost::json::serialize(answer.at("bands")), R"([{"wide":{"band":"positive","point":"youden"}}])");
  Client client(server.port());
  client.send_text(
      "POST /predict?head=shape HTTP/1.1\r\nHost: t\r\nContent-Type: image/png\r\nContent-Length: " +
      std::to_string(pnm(8, 9).size()) + "\r\n\r\n" + pnm(8, 9));
  const Reply raw = client.receive();
  EXPECT_THAT(raw.body, HasSubstr(R"([{"high":0.)"));
}

TEST_F(ServeHeads, WhatAHeadCannotAnswerIsRefused) {
  write_wide_or_high(folder_ / "foreign.head", "others");
  RunningServer server(options_);
  ASSERT_TRUE(eventually([&] { return Client(server.port()).post("/predict", ask("shape")).status == 200; }));
  const auto refused = [&](const std::string& body) {
    const Reply reply = Client(server.port()).post("/predict", body);
    EXPECT_EQ(reply.status, 400) << body;
    return reply.body;
  };
  EXPECT_THAT(refused(ask("unknown")), HasSubstr("no head of this name"));
  EXPECT_THAT(refused(ask("../shape")), HasSubstr("no head of this name"));
  EXPECT_THAT(refused(ask("shape", ",\"labels\":[\"a\"]")), HasSubstr("a head takes no labels"));
  EXPECT_THAT(refused(ask("foreign")), HasSubstr("weights: 'weights', expected 'others'"));
  EXPECT_THAT(refused(R"({"images":[],"head":"shape"})"), HasSubstr("No images provided"));
  EXPECT_THAT(refused(ask(std::string(9000, 'a'))), HasSubstr("at most"));
  EXPECT_EQ(Client(server.port()).post("/predict", R"({"images":["a"],"head":5})").status, 422);
  EXPECT_EQ(Client(server.port()).post("/predict", R"({"images":["a"],"head":null})").status, 422);
}

TEST_F(ServeHeads, AreListedAndReadAgain) {
  RunningServer server(options_);
  const auto get = [&](const char* path) { return Client(server.port()).get(path); };
  EXPECT_EQ(get("/heads").body,
            R"({"heads":[{"name":"shape","kind":"logistic","field":"shape","labels":["wide","high"]}]})");
  EXPECT_THAT(get("/heads/shape").body, HasSubstr("\"rule\": \"youden\""));
  EXPECT_EQ(get("/heads/other").status, 404);
  write_wide_or_high(folder_ / "second.head");
  server.server().reload();
  EXPECT_TRUE(eventually([&] { return get("/heads/second").status == 200; }));
  std::ofstream(folder_ / "damaged.head") << "nonsense";
  server.server().reload();
  EXPECT_TRUE(eventually([&] { return server.log().find("reload_failed") != std::string::npos; }));
  EXPECT_EQ(get("/heads/second").status, 200) << "a damaged file leaves the old heads";
}

TEST_F(ServeHeads, ADamagedHeadEndsTheStart) {
  std::ofstream(folder_ / "damaged.head") << "nonsense";
  EXPECT_THROW(Service(options_, [](std::string_view) { return true; }), Error);
}

}  // namespace
}  // namespace mii::serve
