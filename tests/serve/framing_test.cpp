// Where requests end: what clients without a key can send, over the network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;

constexpr const char* kChunkedPost = "POST /encode HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";

std::map<std::string, std::string> odd_requests() {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(MII_FRAMING_SEEDS)) {
    std::ostringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    files[entry.path().stem()] = text.str();
  }
  return files;
}

// "200-404-close" of a client that sent these bytes: the answers, and whether the connection goes on.
std::string behaviour(uint16_t port, const std::string& bytes) {
  Client client(port);
  client.send_text(bytes);
  client.send_text("GET /livez HTTP/1.1\r\nHost: t\r\nX-Request-Id: last\r\n\r\n");
  std::string answers;
  for (;;) {
    const Reply reply = client.receive(5000);
    if (reply.status == 0) return answers + "close";
    if (reply.header("X-Request-Id") == "last") return answers + "open";
    answers += std::to_string(reply.status) + "-";
  }
}

// NAME.BEHAVIOUR.http, each one connection.
TEST(ServeFraming, OddRequestsAreAnsweredByRfc9112) {
  ServeOptions options;
  options.allowed_hosts = {"host.example"};  // as some of them call it
  RunningServer server(options);
  const auto requests = odd_requests();
  ASSERT_GT(requests.size(), 80u);
  for (const auto& [name, bytes] : requests)
    EXPECT_EQ(behaviour(server.port(), bytes), name.substr(name.find('.') + 1)) << name;
}

// None of them ends: the buffer of the connection would grow with them.
TEST(ServeFraming, EndlessTrailersAndChunkExtensionsAreRefused) {
  RunningServer server;
  const std::pair<const char*, char> lines[] = {
      {"0\r\nX-A: ", 'a'}, {"5;a=", 'a'}, {"0;a=", 'a'}, {"5\r\nhello\r\n1;a=\"", 'a'}, {"0", '0'}};
  for (const auto& [begin, more] : lines) {
    Client client(server.port());
    client.send_text(kChunkedPost + std::string(begin) + std::string(4 << 20, more));
    EXPECT_EQ(client.receive().status, 431) << begin;
    EXPECT_TRUE(client.closed_within(3000)) << begin;
  }
  // Many short ones.
  Client client(server.port());
  std::string chunks;
  for (int i = 0; i < 1000; ++i) chunks += "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n \r\n";
  client.send_text(kChunkedPost + chunks);
  EXPECT_EQ(client.receive().status, 431);
}

TEST(ServeFraming, ManySmallChunksAreABody) {
  RunningServer server;
  Client client(server.port());
  std::string chunks;
  for (int i = 0; i < 20000; ++i) chunks += "1\r\n \r\n";
  client.send_text(kChunkedPost + chunks + "f\r\n{\"texts\":[\"a\"]}\r\n0\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

// Each piece ends behind the first letter of the next field: a parser that takes what is complete would
// forget how much it has taken.
TEST(ServeFraming, AHeadThatComesInPiecesIsBoundedAsAWhole) {
  ServeOptions options;
  options.limits.header_bytes = 1000;
  RunningServer server(options);
  Client client(server.port());
  client.send_text("GET /livez HTTP/1.1\r\nHost: t\r\nX");
  for (int i = 0; i < 40; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    client.send_text("-A: " + std::string(30, 'a') + "\r\nX");
  }
  client.send_text(": a\r\n\r\n");
  EXPECT_EQ(client.receive().status, 431);
}

// More than all bodies together may have.
TEST(ServeFraming, BodiesThatNobodyWantsTakeNoRoom) {
  const auto keys = std::filesystem::temp_directory_path() / ("mii-framing-keys-" + std::to_string(getpid()));
  std::ofstream(keys) << "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n";  // "secret"
  ServeOptions options;
  options.limits.bodies_bytes = 1000;
  options.keys_file = keys;
  RunningServer server(options);
  std::filesystem::remove(keys);
  const std::string body(50'000, ' '), length = "Content-Length: 50000\r\n\r\n";
  const std::pair<const char*, int> requests[] = {{"GET /livez HTTP/1.1\r\nHost: t\r\n", 200},
                                                  {"POST /nothing HTTP/1.1\r\nHost: t\r\n", 404},
                                                  {"PUT /encode HTTP/1.1\r\nHost: t\r\n", 405},
                                                  {"POST /encode HTTP/1.1\r\nHost: t\r\n", 401}};
  Client client(server.port());
  for (const auto& [head, status] : requests) {
    client.send_text(head + length + body);
    EXPECT_EQ(client.receive().status, status) << head;
  }
  // Larger ones are not read to their end, said or not.
  for (const auto& [head, status] : requests) {
    Client other(server.port());
    other.send_text(head + std::string("Content-Length: 1000000\r\n\r\n"));
    EXPECT_EQ(other.receive().status, status) << head;
    EXPECT_TRUE(other.closed_within(3000)) << head;
    Client chunked(server.port());
    chunked.send_text(head + std::string("Transfer-Encoding: chunked\r\n\r\n186a0\r\n") +
                      std::string(100'000, 'a'));
    EXPECT_EQ(chunked.receive().status, status) << head;
    EXPECT_TRUE(chunked.closed_within(3000)) << head;
  }
}

TEST(ServeFraming, ARefusedBodyGivesItsRoomBackAtOnce) {
  ServeOptions options;
  options.limits.body_bytes = 50'000;
  options.limits.bodies_bytes = 60'000;
  RunningServer server(options);
  Client refused(server.port());  // stays, and is listened to for a while
  refused.send_text(kChunkedPost + std::string("c351\r\n") + std::string(50'001, ' '));
  EXPECT_EQ(refused.receive().status, 413);
  const std::string body = std::string(40'000, ' ') + "{\"texts\":[\"a\"]}";
  EXPECT_EQ(Client(server.port()).post("/encode", body).status, 200);
}

TEST(ServeFraming, AnUnwantedBodyThatDoesNotComeEndsTheConnectionSoon) {
  RunningServer server;
  Client client(server.port());
  client.send_text("GET /livez HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n");
  EXPECT_TRUE(client.closed_within(15'000));
}

}  // namespace
}  // namespace mii::serve
