// POST /explain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "golden.h"
#include "heads/head_file.h"
#include "running_server.h"

namespace mii::serve {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

std::string picture(const char* name) {
  std::ostringstream text;
  text << std::ifstream(golden_folder() / "synthetic" / name, std::ios::binary).rdbuf();
  return text.str();
}

std::string base64(const std::string& file) { return encode_base64(std::as_bytes(std::span(file))); }

std::string ask(size_t images, const std::string& more) {
  std::string list;
  for (size_t i = 0; i < images; ++i) {
    if (i > 0) list += ',';
    list += '"';
    list += pnm_base64(9, 8 + i);
    list += '"';
  }
  return "{\"images\":[" + list + "]," + more + "}";
}

double sum_of(const json::value& grid) {
  double sum = 0;
  for (const json::value& row : grid.as_array())
    for (const json::value& value : row.as_array()) sum += value.to_number<double>();
  return sum;
}

// The fake model's vectors are an image's width and height; this head asks which is larger.
void write_wide_or_high(const std::filesystem::path& file, std::optional<heads::Voters> voters) {
  heads::HeadParts parts{.kind = voters ? heads::Kind::knn : heads::Kind::logistic,
                         .field = "shape",
                         .labels = {"wide", "high"},
                         .coefficients = heads::Rows64(2, 3),
                         .voters = std::move(voters)};
  parts.coefficients.row(0)[0] = parts.coefficients.row(1)[1] = 1;
  parts.coefficients.row(0)[2] = 5;  // the intercept
  parts.identity = {"weights", "config", "tokenizer", "f32", "profile auto", "1"};
  write_head(heads::FittedHead(std::move(parts)), file);
}

TEST(ServeExplain, AnswersTheEnginesMapsAndOverlays) {
  const Engine engine = Engine::open(MII_STARTER, {.precision = Precision::f32, .threads = 1});
  RunningServer server({}, [] {
    return std::make_unique<EngineModel>(
        Engine::open(MII_STARTER, {.precision = Precision::f32, .threads = 1}));
  });
  const std::string file = picture("rgb.png");
  const Image image = Image::decode(std::as_bytes(std::span(file)));
  const std::vector<std::string> labels{"X-Ray", "Ultrasound"};
  const Matrix directions = engine.zero_shot_head(labels).label_vectors().clone();
  const TokenMaps scored = std::move(engine.explain({&image, 1}, directions).front());
  const TokenMaps shown = std::move(engine.explain({&image, 1}, contrasted(directions)).front());

  const Reply reply = Client(server.port())
                          .post("/explain", "{\"images\":[\"" + base64(file) + "\",\"" + base64(file) +
                                                R"("],"labels":["X-Ray","Ultrasound"],"overlays":true})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object answer = json::parse(reply.body).as_object();
  EXPECT_EQ(answer.at("contrast").as_string(), "the mean of the labels");
  ASSERT_EQ(answer.at("images").as_array().size(), 2u);
  for (const json::value& of_image : answer.at("images").as_array()) {
    EXPECT_EQ(of_image.at("rows").to_number<size_t>(), scored.rows);
    EXPECT_EQ(of_image.at("cols").to_number<size_t>(), scored.cols);
    ASSERT_EQ(of_image.at("labels").as_array().size(), 2u);
    for (size_t k = 0; k < 2; ++k) {
      const json::object& label = of_image.at("labels").at(k).as_object();
      EXPECT_EQ(label.at("label").as_string(), labels[k]);
      // The batch of two may round otherwise than one: 2e-6, as for vectors.
      EXPECT_NEAR(label.at("score").to_number<double>(), scored.scores[k], 2e-6);
      EXPECT_NEAR(sum_of(label.at("parts")) + label.at("constant").to_number<double>(), scored.scores[k],
                  1e-5);
      EXPECT_LE(label.at("completeness").to_number<double>(), 1e-5);
      EXPECT_NEAR(label.at("map").at(0).at(1).to_number<double>(), shown.centred(k)[1], 2e-6);
      const std::vector<std::byte> png = decode_base64(std::string(label.at("overlay").as_string()));
      EXPECT_GE(Image::decode(png).width(), 320u);
    }
  }
}

TEST(ServeExplain, AnswersTheEnginesMapsByGradients) {
  const Engine engine = Engine::open(MII_STARTER, {.precision = Precision::f32, .threads = 1});
  RunningServer server({}, [] {
    return std::make_unique<EngineModel>(
        Engine::open(MII_STARTER, {.precision = Precision::f32, .threads = 1}));
  });
  const std::string file = picture("rgb.png");
  const ImageTokens tokens =
      engine.encode_image_tokens(Image::decode(std::as_bytes(std::span(file))), TokenStage::before_last);
  const std::vector<std::string> labels{"X-Ray", "Ultrasound"};
  const Matrix directions = engine.zero_shot_head(labels).label_vectors().clone();
  const TokenMaps scored = engine.gradient_maps(tokens, directions);
  const TokenMaps shown = engine.gradient_maps(tokens, contrasted(directions));

  const Reply reply =
      Client(server.port())
          .post("/explain", "{\"images\":[\"" + base64(file) +
                                R"("],"labels":["X-Ray","Ultrasound"],"method":"gradient","overlays":true})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::value answer = json::parse(reply.body);
  const json::value& image = answer.at("images").at(0);
  EXPECT_EQ(image.at("rows").to_number<size_t>(), 8u);
  EXPECT_EQ(image.at("cols").to_number<size_t>(), 8u);
  for (size_t k = 0; k < 2; ++k) {
    const json::object& label = image.at("labels").at(k).as_object();
    EXPECT_NEAR(label.at("score").to_number<double>(), scored.scores[k], 2e-6);
    EXPECT_NEAR(label.at("map").at(1).at(2).to_number<double>(), shown.centred(k)[8 + 2], 2e-6);
    EXPECT_FALSE(label.contains("parts"));
    EXPECT_FALSE(label.contains("completeness"));
    EXPECT_TRUE(label.contains("overlay"));
  }
}

TEST(ServeExplain, MapsByGradientsAreMadeForOneRequestAtATime) {
  RunningServer server({.batching = {.decode_threads = 2}});
  const std::string more = R"("labels":["a","bc"],"method":"gradient")";
  server.fake->block_gradients(true);
  Client first(server.port());
  const std::string body = ask(1, more);
  first.send_text("POST /explain HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n" + body);
  // One image warms the engine up; with the second the first request has its turn.
  EXPECT_TRUE(eventually([&] { return server.fake->computed_images() == 2; }));
  const Reply second = Client(server.port()).post("/explain", ask(1, more));
  EXPECT_EQ(second.status, 429);
  EXPECT_FALSE(second.header("Retry-After").empty());
  EXPECT_EQ(Client(server.port()).post("/explain", ask(1, R"("labels":["a","bc"])")).status, 200);
  server.fake->block_gradients(false);
  EXPECT_EQ(first.receive().status, 200);
  EXPECT_TRUE(eventually([&] { return Client(server.port()).post("/explain", ask(1, more)).status == 200; }));
}

TEST(ServeExplain, OneLabelStandsAgainstTheModalitiesAndVersusAgainstAnother) {
  RunningServer server;
  Client client(server.port());
  const auto alone = json::parse(client.post("/explain", ask(1, R"("labels":["abc"])")).body);
  EXPECT_EQ(alone.at("contrast").as_string(), "the catalogue's modalities");
  EXPECT_FALSE(alone.at("images").at(0).at("labels").at(0).as_object().contains("overlay"));
  const auto versus = json::parse(client.post("/explain", ask(1, R"("labels":["abc"],"versus":"z")")).body);
  EXPECT_EQ(versus.at("contrast").as_string(), "z");
  const auto& label = versus.at("images").at(0).at("labels").at(0);
  EXPECT_EQ(label.at("label").as_string(), "abc and not z");
  // The fake's texts are as long as they are: 3 - 1, times the width 9 of the first token.
  EXPECT_EQ(label.at("parts").at(0).at(0).to_number<double>(), 18);
  EXPECT_EQ(label.at("highest").at("row").to_number<int>(), 1);
  EXPECT_THAT(server.log(), testing::Not(HasSubstr("abc")));
}

TEST(ServeExplain, RefusesWhatItCannotExplain) {
  RunningServer server;
  const auto refused = [&](size_t images, const std::string& more) {
    const Reply reply = Client(server.port()).post("/explain", ask(images, more));
    EXPECT_EQ(reply.status, 400) << more;
    return reply.body;
  };
  EXPECT_THAT(refused(0, R"("labels":["a"])"), HasSubstr("No images provided"));
  EXPECT_THAT(refused(1, R"("labels":[])"), HasSubstr("No labels provided"));
  EXPECT_THAT(refused(1, R"("labels":["a","a"])"), HasSubstr("given twice"));
  EXPECT_THAT(refused(1, R"("labels":["a"],"versus":"a")"), HasSubstr("there is no other label"));
  // The fake cannot tell texts of one length apart.
  EXPECT_THAT(refused(1, R"("labels":["a"],"versus":"b")"), HasSubstr("are the same to this model"));
  EXPECT_THAT(refused(1, R"("head":"x")"), HasSubstr("no head of this name"));
  EXPECT_THAT(refused(65, R"("labels":["a"])"), HasSubstr("65 images, at most 64"));
  std::string many = "\"0\"";
  for (int n = 1; n < 65; ++n) {
    many += ",\"";
    many += std::to_string(n);
    many += '"';
  }
  EXPECT_THAT(refused(64, "\"labels\":[" + many + "]"), HasSubstr("4160 maps, at most 4096"));
  EXPECT_THAT(refused(4, "\"overlays\":true,\"labels\":[" + many + "]"),
              HasSubstr("260 overlays, at most 256"));
  EXPECT_THAT(refused(4, R"("method":"gradient","labels":[)" + many + "]"),
              HasSubstr("260 maps by gradients, at most 64"));
  EXPECT_THAT(refused(1, R"("method":"magic","labels":["a"])"), HasSubstr("expected exact or gradient"));
  EXPECT_EQ(Client(server.port()).post("/explain", R"({"images":["x"]})").status, 422);
  server.fake->one_token = true;
  EXPECT_THAT(refused(1, R"("labels":["a"])"), HasSubstr("one token"));
}

TEST(ServeExplain, AnImageThatIsNoneIsNamed) {
  RunningServer server;
  const Reply reply = Client(server.port())
                          .post("/explain", "{\"images\":[\"" + pnm_base64(9, 8) +
                                                R"(","bm8gaW1hZ2U="],"labels":["a","bc"]})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("Failed to process image: image 2 of 2: "));
}

TEST(ServeExplain, ImagesMakeBatchesOfTheirOwnAndTheirNumberIsBounded) {
  RunningServer server;
  ASSERT_EQ(Client(server.port()).post("/explain", ask(3, R"("labels":["a","bc"])")).status, 200);
  EXPECT_EQ(server.fake->computed_images(), 1u + 3u);  // one warms the engine up
  server.fake->block(true);
  Client first(server.port());
  const std::string body = ask(40, R"("labels":["a","bc"])");
  first.send_text("POST /explain HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n" + body);
  Reply second;
  EXPECT_TRUE(eventually([&] {
    second = Client(server.port())
                 .post("/explain", ask(40, R"("labels":["a","bc"])"), "X-Request-Timeout: 0.2\r\n");
    return second.status == 429;
  })) << second.status;
  EXPECT_FALSE(second.header("Retry-After").empty());
  server.fake->block(false);
  EXPECT_EQ(first.receive().status, 200);
}

TEST(ServeExplain, ALinearHeadIsExplainedAndVotersAreRefused) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("mii-serve-explain-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  write_wide_or_high(folder / "shape.head", {});
  write_wide_or_high(folder / "voting.head", heads::Voters{.k = 1, .vectors = Matrix(1, 2), .is = {1, 0}});
  {
    RunningServer server({.heads_folder = folder});
    Reply reply;
    ASSERT_TRUE(eventually([&] {
      reply = Client(server.port()).post("/explain", ask(1, R"("head":"shape")"));
      return reply.status == 200;  // 503 until the model's digest is known
    })) << reply.body;
    const auto answer = json::parse(reply.body);
    const auto& wide = answer.at("images").at(0).at("labels").at(0);
    EXPECT_EQ(wide.at("label").as_string(), "wide");
    EXPECT_EQ(wide.at("constant").to_number<double>(), 5);
    EXPECT_EQ(wide.at("score").to_number<double>(), 95);
    const Reply refused = Client(server.port()).post("/explain", ask(1, R"("head":"voting")"));
    EXPECT_EQ(refused.status, 400);
    EXPECT_THAT(refused.body, HasSubstr("neighbours vote"));
    EXPECT_EQ(Client(server.port()).post("/explain", ask(1, R"("head":"shape","labels":["a"])")).status, 400);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mii::serve
