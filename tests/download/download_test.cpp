#include "download/download.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/sha256.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

struct Answer {
  int status = 200;
  size_t first = 0;               // of the body that is sent
  size_t break_after = SIZE_MAX;  // bytes, then the connection is closed
  std::string range_header;       // instead of the right one
};

// Answers one request after another as it was told; afterwards as a good server does.
class Server {
 public:
  explicit Server(std::string body) : body_(std::move(body)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    socklen_t length = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    listen(listener_, 8);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    close(listener_);
    thread_.join();
  }

  std::string url;
  std::vector<Answer> script;       // written before the first request
  std::vector<std::string> ranges;  // of the requests, read after the last
  std::atomic<size_t> sent = 0;

 private:
  void serve() {
    for (int client; (client = accept(listener_, nullptr, nullptr)) >= 0; close(client)) {
      std::string request;
      char block[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = recv(client, block, sizeof(block), 0);
        if (n <= 0) break;
        request.append(block, static_cast<size_t>(n));
      }
      const size_t at = request.find("Range: bytes=");
      const std::string range =
          at == std::string::npos ? "" : request.substr(at + 13, request.find("\r\n", at) - at - 13);
      ranges.push_back(range);
      Answer answer;
      if (!range.empty()) {
        answer.status = 206;
        answer.first = std::stoul(range);
        if (answer.first >= body_.size()) answer.status = 416;
      }
      if (ranges.size() <= script.size()) {
        const Answer& told = script[ranges.size() - 1];
        if (told.status != 206)
          answer = told;
        else {
          answer.break_after = told.break_after;
          answer.range_header = told.range_header;
        }
      }
      send_answer(client, answer);
    }
  }
  void send_answer(int client, const Answer& answer) {
    const std::string rest = answer.status < 300 ? body_.substr(answer.first) : "no";
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) +
                       " X\r\nConnection: close\r\nContent-Length: " + std::to_string(rest.size()) + "\r\n";
    if (answer.status == 206)
      head += "Content-Range: bytes " +
              (answer.range_header.empty()
                   ? std::to_string(answer.first) + "-" + std::to_string(body_.size() - 1) + "/" +
                         std::to_string(body_.size())
                   : answer.range_header) +
              "\r\n";
    const std::string part = rest.substr(0, answer.break_after);
    sent += part.size();  // before the client can have them
    const std::string all = head + "\r\n" + part;
    for (size_t done = 0; done < all.size();) {
      const ssize_t n = send(client, all.data() + done, all.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return;
      done += static_cast<size_t>(n);
    }
  }

  std::string body_;
  int listener_;
  std::thread thread_;
};

class Download : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 300000; ++i) body_ += static_cast<char>(i * 7 + i / 251);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream(folder_ / "expected", std::ios::binary) << body_;
    file_ = {"sub/weights", body_.size(), sha256_of_file(folder_ / "expected")};
    server_ = std::make_unique<Server>(body_);
  }
  void TearDown() override {
    server_.reset();
    fs::remove_all(folder_);
  }
  void pull() { download({file_}, folder_, options()); }
  DownloadOptions options() const {
    return {.base_url = server_->url, .retries = 2, .retry_wait = std::chrono::milliseconds(1)};
  }
  std::string result() const {
    std::ostringstream text;
    text << std::ifstream(folder_ / "sub/weights", std::ios::binary).rdbuf();
    return text.str();
  }
  void expect_error(ErrorCode code, const std::string& part) {
    try {
      pull();
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code);
      EXPECT_THAT(e.what(), HasSubstr(part));
    }
    EXPECT_FALSE(fs::exists(folder_ / "sub/weights"));
  }

  std::string body_;
  fs::path folder_ = fs::temp_directory_path() / ("mii-download-" + std::to_string(getpid()));
  RemoteFile file_;
  std::unique_ptr<Server> server_;
};

TEST_F(Download, GetsAFileAndLeavesACompleteOneAlone) {
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_FALSE(fs::exists(folder_ / "sub/weights.part"));
  pull();
  EXPECT_EQ(server_->ranges.size(), 1u);
}

TEST_F(Download, GoesOnWhereTheServerBrokeOff) {
  server_->script = {{.break_after = 100000}, {.status = 206, .break_after = 50000}};
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_THAT(server_->ranges, ElementsAre("", "100000-", "150000-"));
  EXPECT_EQ(server_->sent, body_.size()) << "no byte is sent twice";
}

TEST_F(Download, StartsAgainWhenTheServerIgnoresRanges) {
  server_->script = {{.break_after = 100000}, {.status = 200}};
  pull();
  EXPECT_EQ(result(), body_);
}

TEST_F(Download, AWrongRangeIsNotAppended) {
  server_->script = {{.break_after = 100000}, {.status = 206, .range_header = "bytes 7-299999/300000"}};
  pull();
  EXPECT_EQ(result(), body_);
}

TEST_F(Download, WaitsOutABusyServer) {
  server_->script = {{.status = 500}, {.status = 429}};
  pull();
  EXPECT_EQ(result(), body_);
}

TEST_F(Download, GivesUpAfterItsRetriesAndKeepsThePart) {
  server_->script = {{.break_after = 1000}, {.status = 503}, {.status = 503}, {.status = 503}};
  expect_error(ErrorCode::network, "gave up");
  EXPECT_EQ(fs::file_size(folder_ / "sub/weights.part"), 1000u);
  pull();
  EXPECT_EQ(result(), body_);
}

TEST_F(Download, AMissingFileIsNotTriedAgain) {
  server_->script = {{.status = 404}};
  expect_error(ErrorCode::network, "answered 404");
  EXPECT_EQ(server_->ranges.size(), 1u);
}

TEST_F(Download, OtherBytesAreRefusedAndRemoved) {
  file_.sha256[0] = file_.sha256[0] == '0' ? '1' : '0';
  expect_error(ErrorCode::network, "SHA-256");
  EXPECT_FALSE(fs::exists(folder_ / "sub/weights.part"));
}

TEST_F(Download, AnotherSizeIsRefused) {
  file_.bytes -= 1;
  expect_error(ErrorCode::network, "expected 299999");
}

TEST_F(Download, CancellingKeepsThePart) {
  server_->script = {{.break_after = 1000}};
  auto stop = options();
  stop.cancelled = [&] { return fs::exists(folder_ / "sub/weights.part") && !server_->ranges.empty(); };
  EXPECT_THROW(download({file_}, folder_, stop), Error);
  EXPECT_FALSE(fs::exists(folder_ / "sub/weights"));
  pull();
  EXPECT_EQ(result(), body_);
}

TEST_F(Download, OtherProtocolsAreRefused) {
  auto other = options();
  other.base_url = "file://" + folder_.string();
  EXPECT_THROW(download({file_}, folder_, other), Error);
}

}  // namespace
}  // namespace mii
