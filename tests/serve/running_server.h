#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/base64.h"
#include "serve/server.h"
#include "fake_model.h"
#include "http_client.h"

namespace mii::serve {

/// A server on a free port of 127.0.0.1 with the fake model, or another.
class RunningServer {
 public:
  explicit RunningServer(ServeOptions options = {}, Server::OpenModel open = {},
                         std::function<void()> reopen_log = {}) {
    options.port = 0;
    options.allowed_hosts.push_back("t");  // as Client calls it
    server_ = std::make_unique<Server>(
        std::move(options),
        [this](std::string_view line) {
          const std::lock_guard lock(mutex_);
          log_ += line;
          return true;
        },
        std::move(reopen_log));
    if (!open) open = [state = fake] { return std::make_unique<FakeModel>(state); };
    std::promise<void> ready;
    auto is_ready = ready.get_future();
    thread_ = std::thread([this, open, &ready] {
      finished_ = server_->run(open, {.on_ready = [&ready](const ModelInfo&) { ready.set_value(); }});
    });
    is_ready.wait();
  }
  ~RunningServer() { stop(); }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  /// Whether all requests were finished.
  bool stop() {
    if (thread_.joinable()) {
      server_->stop();
      thread_.join();
    }
    return finished_;
  }
  void begin_stop() { server_->stop(); }
  void wait_stopped() { thread_.join(); }
  Server& server() { return *server_; }
  uint16_t port() const { return server_->port(); }
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }

  std::shared_ptr<FakeState> fake = std::make_shared<FakeState>();

 private:
  std::mutex mutex_;
  std::string log_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  bool finished_ = false;
};

/// A grey PNM file of this size: the smallest picture there is.
inline std::string pnm(size_t width, size_t height) {
  return "P5 " + std::to_string(width) + " " + std::to_string(height) + " 255\n" +
         std::string(width * height, 'x');
}
inline std::string pnm_base64(size_t width, size_t height) {
  const std::string file = pnm(width, height);
  return encode_base64(std::as_bytes(std::span(file)));
}

/// A body of /encode: images of these widths and heights.
inline std::string images_body(std::initializer_list<std::pair<size_t, size_t>> sizes) {
  std::string list;
  for (const auto& [width, height] : sizes)
    list += (list.empty() ? "\"" : ",\"") + pnm_base64(width, height) + "\"";
  return "{\"images\":[" + list + "]}";
}

template <typename Condition>
bool eventually(Condition condition, int milliseconds = 10000) {
  for (int waited = 0; waited < milliseconds; waited += 5) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace mii::serve
