#include "download/download.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <mutex>
#include <sstream>
#include <thread>

#include "core/sha256.h"
#include "download/part_file.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

struct Answer {
  int status = 200;
  size_t first = 0;               // of the body that is sent
  size_t break_after = SIZE_MAX;  // bytes, then the connection is closed
  std::string range_header;       // instead of the right one
  std::string headers;            // more of them
};

// Answers each request as it was told, in their order; afterwards as a good server does. A thread each.
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
    listen(listener_, 16);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { accept_all(); });
  }
  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    close(listener_);
    thread_.join();
    for (std::thread& each : requests_) each.join();
  }

  std::string url;
  // Written before the first request.
  std::vector<Answer> script;
  bool ignores_ranges = false;
  size_t gather = 1;          // the first so many requests are answered when all have come
  size_t at_once = SIZE_MAX;  // 429 beyond
  // Read after the last request.
  std::vector<std::string> ranges;
  std::vector<std::string> paths;
  size_t refused = 0;    // with 429, as one too many
  bool gathered = true;  // all of `gather` came
  std::atomic<size_t> sent = 0;

 private:
  void accept_all() {
    for (int client; (client = accept(listener_, nullptr, nullptr)) >= 0;)
      requests_.emplace_back([this, client] {
        serve(client);
        close(client);
      });
  }

  static std::string read_request(int client) {
    std::string request;
    char block[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = recv(client, block, sizeof(block), 0);
      if (n <= 0) break;
      request.append(block, static_cast<size_t>(n));
    }
    return request;
  }

  void serve(int client) {
    const std::string request = read_request(client);
    if (request.empty()) return;
    const size_t at = request.find("Range: bytes=");
    const std::string range =
        at == std::string::npos ? "" : request.substr(at + 13, request.find("\r\n", at) - at - 13);
    std::unique_lock lock(mutex_);
    const size_t number = ranges.size();
    ranges.push_back(range);
    paths.push_back(request.substr(4, request.find(' ', 4) - 4));
    const bool busy = ++open_ > at_once;
    refused += busy ? 1 : 0;
    changed_.notify_all();
    gathered &= changed_.wait_for(lock, std::chrono::seconds(10), [&] { return ranges.size() >= gather; });
    if (at_once != SIZE_MAX && !busy)
      changed_.wait_for(lock, std::chrono::milliseconds(50), [] { return false; });
    --open_;
    lock.unlock();
    send_answer(client, busy ? Answer{.status = 429} : answer_to(range, number), range);
  }

  Answer answer_to(const std::string& range, size_t number) const {
    Answer answer;
    if (!range.empty() && !ignores_ranges) {
      answer.status = 206;
      answer.first = std::stoul(range);
      if (answer.first >= body_.size()) answer.status = 416;
    }
    if (number >= script.size()) return answer;
    const Answer& told = script[number];
    if (told.status != 206) return told;
    answer.break_after = told.break_after;
    answer.range_header = told.range_header;
    return answer;
  }

  void send_answer(int client, const Answer& answer, const std::string& range) {
    const size_t dash = range.find('-');
    const bool to_the_end = answer.status != 206 || dash + 1 >= range.size();
    const size_t end = to_the_end ? body_.size() : std::stoul(range.substr(dash + 1)) + 1;
    const std::string rest =
        answer.status < 300 ? body_.substr(answer.first, end - answer.first) : "an error's page";
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " X\r\nConnection: close\r\n" +
                       answer.headers + "Content-Length: " + std::to_string(rest.size()) + "\r\n";
    if (answer.status == 206)
      head += "Content-Range: bytes " +
              (answer.range_header.empty() ? std::to_string(answer.first) + "-" + std::to_string(end - 1) +
                                                 "/" + std::to_string(body_.size())
                                           : answer.range_header) +
              "\r\n";
    const std::string part = rest.substr(0, answer.break_after);
    if (answer.status < 300) sent += part.size();  // before the client can have them
    const std::string all = head + "\r\n" + part;
    for (size_t done = 0; done < all.size();) {
      const ssize_t n = send(client, all.data() + done, all.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return;
      done += static_cast<size_t>(n);
    }
  }

  std::string body_;
  int listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t open_ = 0;  // guarded by mutex_, as what the requests add above
  std::vector<std::thread> requests_;
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
    expect_error(
        code, [this] { pull(); }, part);
  }
  void expect_error(ErrorCode code, const std::function<void()>& download, const std::string& part) {
    try {
      download();
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

// Ranges of 50 000 bytes: six.
class DownloadInRanges : public Download {
 protected:
  void pull() { download({file_}, folder_, in_ranges()); }
  DownloadOptions in_ranges() const {
    DownloadOptions ranges = options();
    ranges.range_bytes = 50000;
    ranges.connections = 4;
    return ranges;
  }
  fs::path part() const { return folder_ / "sub/weights.part"; }
};

TEST_F(DownloadInRanges, FourComeAtOnce) {
  server_->gather = 4;
  pull();
  EXPECT_TRUE(server_->gathered);
  EXPECT_EQ(result(), body_);
  EXPECT_EQ(fs::file_size(folder_ / "sub/weights"), body_.size());
  EXPECT_THAT(server_->ranges, UnorderedElementsAre("0-49999", "50000-99999", "100000-149999",
                                                    "150000-199999", "200000-249999", "250000-"));
}

TEST_F(DownloadInRanges, EachGoesOnWhereTheServerBrokeOff) {
  server_->script.assign(5, {.status = 206, .break_after = 20000});
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_EQ(server_->sent, body_.size()) << "no byte is sent twice";
}

TEST_F(DownloadInRanges, TheNextCallGoesOnInEachRange) {
  server_->gather = 4;
  server_->script.assign(4, {.status = 206, .break_after = 20000});
  server_->script.resize(24, {.status = 500});
  expect_error(
      ErrorCode::network, [this] { pull(); }, "gave up");
  const uint64_t received = PartFile::open(part(), file_.bytes, in_ranges().range_bytes).received();
  EXPECT_GE(received, 40000u) << "of two ranges at least";
  server_ = std::make_unique<Server>(body_);
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_EQ(server_->sent, body_.size() - received) << "no byte is sent twice";
}

TEST_F(DownloadInRanges, ABeginningInOnePieceIsContinued) {
  fs::create_directories(folder_ / "sub");
  std::ofstream(part(), std::ios::binary) << body_.substr(0, 120000);
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_THAT(server_->ranges,
              UnorderedElementsAre("120000-149999", "150000-199999", "200000-249999", "250000-"));
}

TEST_F(DownloadInRanges, NotesThatCannotBeTrueAreNotBelieved) {
  fs::create_directories(folder_ / "sub");
  std::ofstream(part(), std::ios::binary) << std::string(body_.size() + 6 * 8, '\xff');
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_EQ(server_->ranges.size(), 6u);
}

TEST_F(DownloadInRanges, APartThatIsTooLongIsForgotten) {
  fs::create_directories(folder_ / "sub");
  std::ofstream(part(), std::ios::binary) << std::string(body_.size() + 1, 'x');
  pull();
  EXPECT_EQ(result(), body_);
}

TEST_F(DownloadInRanges, AServerWithoutRangesSendsTheWholeFile) {
  server_->ignores_ranges = true;
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_THAT(server_->ranges, Contains(""));
}

TEST_F(DownloadInRanges, AServerWithoutRangesThatAlwaysBreaksOffIsGivenUp) {
  server_->ignores_ranges = true;
  for (int i = 0; i < 50; ++i) {
    server_->script.push_back({.break_after = 1000});
    server_->script.push_back({.break_after = 2000});
  }
  expect_error(
      ErrorCode::network, [this] { pull(); }, "gave up");
}

TEST_F(DownloadInRanges, AServerThatTakesOneRequestAtATimeIsAskedForOne) {
  server_->at_once = 1;
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_LE(server_->refused, 3u) << "of the first four";
}

TEST_F(DownloadInRanges, AFileOfAnotherSizeIsRefusedAtOnce) {
  file_.bytes += 1;
  expect_error(
      ErrorCode::network, [this] { pull(); }, "has 300000 bytes, expected 300001");
  EXPECT_LE(server_->ranges.size(), 4u);
}

TEST_F(DownloadInRanges, AServerThatIsAwayForAWhileIsWaitedFor) {
  server_->script.assign(4, {.status = 503});
  pull();
  EXPECT_EQ(result(), body_);
}

TEST_F(Download, GivesTheServerTheTimeItAsksFor) {
  server_->script = {{.status = 429, .headers = "Retry-After: 1\r\n"}};
  const auto begin = std::chrono::steady_clock::now();
  pull();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_EQ(result(), body_);
}

TEST_F(Download, DoesNotWaitForHours) {
  server_->script = {{.status = 503, .headers = "Retry-After: 7200\r\n"}};
  expect_error(ErrorCode::network, "asks to wait for 7200 s");
}

TEST_F(Download, FollowsRedirects) {
  server_->script = {{.status = 302, .headers = "Location: /cdn/a?signature=b\r\n"},
                     {.break_after = 100000},
                     {.status = 307, .headers = "Location: " + server_->url + "/cdn/c\r\n"}};
  pull();
  EXPECT_EQ(result(), body_);
  EXPECT_THAT(server_->paths, ElementsAre("/sub/weights", "/cdn/a?signature=b", "/sub/weights", "/cdn/c"));
  EXPECT_THAT(server_->ranges, ElementsAre("", "", "100000-", "100000-"));
}

TEST_F(Download, DoesNotGoRoundInCircles) {
  server_->script.assign(100, {.status = 302, .headers = "Location: /sub/weights\r\n"});
  expect_error(ErrorCode::network, "redirect");
  EXPECT_EQ(server_->ranges.size(), 11u);
}

TEST_F(Download, ARedirectToAFileIsRefused) {
  server_->script = {
      {.status = 302, .headers = "Location: file://" + (folder_ / "expected").string() + "\r\n"}};
  expect_error(ErrorCode::network, "rotocol");
  EXPECT_EQ(server_->ranges.size(), 1u);
}

TEST(PublishedModel, IsBelowTheEndpointOfAMirror) {
  const std::string path = "/lion-ai/MedImageInsights/resolve/main/2024.09.27";
  EXPECT_EQ(published_model_url(), "https://huggingface.co" + path);
  EXPECT_EQ(published_model_url("https://hf-mirror.com"), "https://hf-mirror.com" + path);
  EXPECT_EQ(published_model_url("http://127.0.0.1:8080/hf/"), "http://127.0.0.1:8080/hf" + path);
}

TEST(PublishedModel, EveryFileHasASizeAndADigest) {
  EXPECT_EQ(published_model().size(), 6u);
  for (const RemoteFile& file : published_model()) {
    EXPECT_GT(file.bytes, 0u) << file.path;
    EXPECT_EQ(file.sha256.size(), 64u) << file.path;
  }
}

TEST_F(Download, OtherProtocolsAreRefused) {
  auto other = options();
  other.base_url = "file://" + folder_.string();
  EXPECT_THROW(download({file_}, folder_, other), Error);
}

}  // namespace
}  // namespace mii
