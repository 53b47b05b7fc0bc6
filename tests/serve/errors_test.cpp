// Errors are in the words of the API whose clients read them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

// A way to get each error that is not the handler's own.
struct ErrorCase {
  const char* name;
  int status;
  std::function<Reply(const std::string& path)> provoke;
};

std::vector<ErrorCase> error_cases() {
  const std::string text = R"({"model":"medimageinsight","input":"a","images":["data:image/x;base64,)" +
                           pnm_base64(1, 1) + R"("],"labels":["a"]})";
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

bool is_cohere_error(const std::string& body) {
  const auto value = boost::json::parse(body);
  return value.as_object().contains("message") && value.as_object().size() == 1;
}

TEST(ServeErrors, AreInTheWordsOfTheApiWhereverTheyArise) {
  for (const ErrorCase& wrong : error_cases()) {
    const Reply openai = wrong.provoke("/v1/embeddings");
    EXPECT_EQ(openai.status, wrong.status) << wrong.name;
    EXPECT_TRUE(is_openai_error(openai.body)) << wrong.name << ": " << openai.body;
    const Reply cohere = wrong.provoke("/providers/microsoft/v2/embed");
    EXPECT_EQ(cohere.status, wrong.status) << wrong.name;
    EXPECT_TRUE(is_cohere_error(cohere.body)) << wrong.name << ": " << cohere.body;
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

}  // namespace
}  // namespace mii::serve
