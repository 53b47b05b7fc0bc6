// Answers that are sent while they are written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "running_server.h"
#include "serve/http.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;

constexpr size_t kDim = 4096;

std::string texts_body(size_t n) {
  std::string body = "{\"texts\":[\"x\"";
  for (size_t i = 1; i < n; ++i) body += ",\"x\"";
  return body + "]}";
}

// What the fake model makes of them: the first value of a vector is the length of its text.
std::string expected(size_t n) {
  std::string row = "[1.0";
  for (size_t d = 1; d < kDim; ++d) row += ",0.0";
  row += ']';
  std::string body = "{\"image_embeddings\":null,\"text_embeddings\":[" + row;
  for (size_t i = 1; i < n; ++i) body += ',' + row;
  return body + "]}";
}

class Streaming : public testing::Test {
 protected:
  static ServeOptions options(Seconds write_time = Seconds(60)) {
    ServeOptions options;
    options.limits.write_time = write_time;
    return options;
  }
  static std::unique_ptr<RunningServer> start(const ServeOptions& options) {
    const auto state = std::make_shared<FakeState>();
    return std::make_unique<RunningServer>(options,
                                           [state] { return std::make_unique<FakeModel>(state, kDim); });
  }
  static void ask(const Client& client, size_t texts, const std::string& headers = "") {
    const std::string body = texts_body(texts);
    client.send_text("POST /encode HTTP/1.1\r\nHost: t\r\n" + headers +
                     "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  static bool logged(RunningServer& server, const std::string& text) {
    return eventually([&] { return server.log().find(text) != std::string::npos; });
  }
};

TEST_F(Streaming, LongAnswersComeInPiecesAndShortOnesWhole) {
  const auto server = start(options());
  Client client(server->port());
  for (const size_t texts : {100, 1, 20}) {
    const Reply reply = client.post("/encode", texts_body(texts));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.header("Transfer-Encoding"), texts == 1 ? "" : "chunked");
    EXPECT_EQ(reply.header("Content-Length").empty(), texts != 1);
    EXPECT_TRUE(reply.whole);
    EXPECT_TRUE(reply.body == expected(texts)) << texts;
  }
}

TEST_F(Streaming, TextsAndFormsOfCohereComeInPiecesToo) {
  const auto server = start(options());
  Client client(server->port());
  constexpr size_t kTexts = 20;
  std::string body = texts_body(kTexts);
  body.insert(1, R"("model":"medimageinsight","embedding_types":["int8","float","ubinary"],)");
  const Reply reply = client.post("/providers/microsoft/v2/embed", body);
  EXPECT_EQ(reply.header("Transfer-Encoding"), "chunked");
  const auto answer = boost::json::parse(reply.body);
  EXPECT_EQ(answer.at("texts").as_array().size(), kTexts);
  for (const auto& [form, values] : {std::pair("int8", kDim), {"float", kDim}, {"ubinary", kDim / 8}}) {
    const auto& rows = answer.at("embeddings").at(form).as_array();
    EXPECT_EQ(rows.size(), kTexts) << form;
    for (const auto& row : rows) EXPECT_EQ(row.as_array().size(), values) << form;
  }
}

TEST_F(Streaming, AnOldClientGetsTheBytesUntilTheConnectionEnds) {
  const auto server = start(options());
  Client client(server->port());
  const std::string body = texts_body(100);
  client.send_text("POST /encode HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string all = client.receive_all();
  EXPECT_THAT(all.substr(0, all.find("\r\n\r\n")), testing::Not(HasSubstr("Transfer-Encoding")));
  EXPECT_TRUE(all.substr(all.find("\r\n\r\n") + 4) == expected(100));
}

TEST_F(Streaming, AClientThatLeavesOrDoesNotReadEndsItsAnswer) {
  const auto server = start(options(Seconds(0.3)));
  ask(Client(server->port()), 1024);  // 16 MB, more than sockets hold
  EXPECT_TRUE(logged(*server, "\"status\":499"));
  const Client idle(server->port());
  ask(idle, 1024);
  EXPECT_TRUE(eventually([&] {
    const std::string log = server->log();
    return log.find("\"status\":499", log.find("\"status\":499") + 1) != std::string::npos;
  }));
  EXPECT_EQ(Client(server->port()).post("/encode", texts_body(1)).status, 200);
}

TEST_F(Streaming, ADeadlineInTheMiddleOfAnAnswerBreaksItOff) {
  const auto server = start(options());
  Client client(server->port());
  ask(client, 1024, "X-Request-Timeout: 3\r\n");
  EXPECT_TRUE(logged(*server, "\"status\":504"));
  const Reply reply = client.receive();
  EXPECT_EQ(reply.status, 200) << "it had begun";
  EXPECT_FALSE(reply.whole);
}

TEST(StreamedJson, IsWrittenAPieceAtATime) {
  size_t steps = 0;
  Response response = json_response([&steps](JsonWriter& json) {
    if (steps == 0) json.begin_array();
    json.value(std::string(997, 'x'));  // and its quotes and comma
    if (++steps < 1000) return true;
    json.end_array();
    return false;
  });
  std::string all = response.body;
  ASSERT_TRUE(response.more);
  for (std::string piece; !(piece = response.more()).empty(); all += piece) {
    EXPECT_LE(piece.size(), 65u << 10);
    EXPECT_LE(steps * 1000, all.size() + piece.size()) << "no more is written than was asked for";
  }
  EXPECT_EQ(all.size(), 1000u * 1000 + 1);
  EXPECT_FALSE(json_response([](JsonWriter& json) { return json.value(1), false; }).more);
}

}  // namespace
}  // namespace mii::serve
