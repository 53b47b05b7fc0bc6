// Reports over HTTP, by a small model with a decoder of made-up weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>
#include <thread>

#include "procedural_model.h"
#include "running_server.h"
#include "weights/report_model.h"

namespace mii::serve {
namespace {

namespace bj = boost::json;
namespace fs = std::filesystem;
using testing::HasSubstr;

// With a decoder of made-up weights in the model's folder.
std::unique_ptr<RunningServer> serving(const ProceduralModel& model) {
  const ReportDecoderConfig config{
      .context_length = 60,
      .width = 32,
      .heads = 2,
      .layers = 1,
      .image_dim = 128,
      .vocabulary = ClipTokenizer::load(Golden("tiny-a").tokenizer()).vocabulary_size(),
      .least_support = 2.0f};
  const fs::path folder = model.folder() / "report_model";
  fs::create_directories(folder);
  write_file(ReportModelFolder::in(folder).config, to_yaml(config));
  write_procedural_weights(report_decoder_specs(config), ReportModelFolder::in(folder).weights);
  return std::make_unique<RunningServer>(ServeOptions{}, [folder = model.folder()] {
    return std::make_unique<EngineModel>(Engine::open(folder, {.precision = Precision::f32, .threads = 1}));
  });
}

// Drawn at random: made-up weights would write one word again and again.
Reply ask_for_report(const RunningServer& server, const std::string& more) {
  std::ostringstream image;
  image << std::ifstream(golden_folder() / "synthetic" / "rgb.png", std::ios::binary).rdbuf();
  return Client(server.port())
      .post("/report", R"({"images":[")" + encode_base64(std::as_bytes(std::span(image.view()))) +
                           R"("],"top_p":0.95,"temperature":3,"max_tokens":40)" + more + "}");
}

class ServeReport : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    model_ = std::make_unique<ProceduralModel>("tiny-a");
    server_ = serving(*model_);
  }
  static void TearDownTestSuite() {
    server_.reset();
    model_.reset();
  }
  static Reply ask(const std::string& more = "") { return ask_for_report(*server_, more); }

  static std::unique_ptr<ProceduralModel> model_;
  static std::unique_ptr<RunningServer> server_;
};
std::unique_ptr<ProceduralModel> ServeReport::model_;
std::unique_ptr<RunningServer> ServeReport::server_;

TEST_F(ServeReport, AnswersFindingsModelAndUsage) {
  const Reply reply = ask();
  ASSERT_EQ(reply.status, 200) << reply.body;
  const bj::value report = bj::parse(reply.body);
  EXPECT_FALSE(report.at("findings").as_string().empty());
  EXPECT_EQ(report.at("usage").at("completion_tokens").as_int64(), 40);
  EXPECT_EQ(report.at("usage").at("total_tokens").as_int64(), 42);
  EXPECT_FALSE(report.at("complete").as_bool());
  EXPECT_FALSE(report.at("sentences").at(0).at("supported").as_bool());  // no cosine reaches 2
  EXPECT_THAT(std::string(report.at("notice").as_string()), HasSubstr("not for diagnosis"));
  EXPECT_EQ(ask().body, reply.body);
  EXPECT_NE(ask(R"(,"seed":2)").body, reply.body);
}

TEST_F(ServeReport, StreamsSentencesAndThenTheReport) {
  const Reply reply = ask(R"(,"stream":true)");
  ASSERT_EQ(reply.status, 200) << reply.body;
  std::vector<std::pair<std::string, bj::value>> events;
  std::istringstream lines(reply.body);
  for (std::string name, data, empty; std::getline(lines, name);) {
    if (name == ":") {  // a comment: the next sentence takes a while
      ASSERT_TRUE(std::getline(lines, empty) && empty.empty());
      continue;
    }
    ASSERT_TRUE(std::getline(lines, data) && std::getline(lines, empty) && empty.empty());
    ASSERT_TRUE(name.starts_with("event: ") && data.starts_with("data: ")) << name << data;
    events.emplace_back(name.substr(7), bj::parse(data.substr(6)));
  }
  ASSERT_GE(events.size(), 3u);
  EXPECT_EQ(events.front().first, "notice");
  EXPECT_EQ(events.back().first, "report");
  const bj::value& report = events.back().second;
  ASSERT_EQ(events.size() - 2, report.at("sentences").as_array().size());
  for (size_t i = 1; i + 1 < events.size(); ++i) {
    EXPECT_EQ(events[i].first, "sentence");
    EXPECT_EQ(events[i].second, report.at("sentences").at(i - 1));
  }
  EXPECT_EQ(report, bj::parse(ask().body));
}

TEST_F(ServeReport, AnswersSeveralAtOnceAsOneAlone) {
  std::vector<Reply> replies(3);
  std::vector<std::thread> clients;
  for (size_t i = 0; i < replies.size(); ++i)
    clients.emplace_back([&, i] { replies[i] = ask(R"(,"seed":)" + std::to_string(i + 1)); });
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < replies.size(); ++i) {
    ASSERT_EQ(replies[i].status, 200) << replies[i].body;
    EXPECT_EQ(bj::parse(replies[i].body), bj::parse(ask(R"(,"seed":)" + std::to_string(i + 1)).body));
  }
}

TEST_F(ServeReport, RefusesWhatMakesNoSense) {
  EXPECT_EQ(ask(R"(,"beams":2)").status, 400);  // with top_p
  EXPECT_EQ(ask(R"(,"beams":99)").status, 400);
  std::string prompt;
  for (int i = 0; i < 80; ++i) prompt += "a ";
  const Reply reply = ask(R"(,"prompt":")" + prompt + R"(")");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("80 tokens"));
}

// One token says nothing of where, but a decoder can write about it.
TEST(ServeReportOfOneToken, IsWritten) {
  const ProceduralModel model("tiny-a", {{"  - 96", "  - 16"}, {"  - 96", "  - 16"}});
  const auto server = serving(model);
  const Reply reply = ask_for_report(*server, "");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_FALSE(bj::parse(reply.body).at("findings").as_string().empty());
  std::string body = images_body({{16, 16}});
  body.back() = ',';
  EXPECT_THAT(Client(server->port()).post("/explain", body + R"("labels":["a"]})").body,
              HasSubstr("one token"));
}

TEST(ServeWithoutDecoder, SaysThatThereIsNone) {
  RunningServer server;
  const Reply reply = Client(server.port()).post("/report", images_body({{3, 1}}));
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("no report decoder"));
}

}  // namespace
}  // namespace mii::serve
