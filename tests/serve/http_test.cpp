// How the service speaks HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "running_server.h"

namespace mii::serve {
namespace {

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

}  // namespace
}  // namespace mii::serve
