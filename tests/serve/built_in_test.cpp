// The service with the model that comes with the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "golden.h"
#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;

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
