#pragma once

// A client of a few lines that sends exactly the bytes it is told, and can leave when it likes.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace mii::serve {

struct Reply {
  int status = 0;  ///< 0: the server closed without an answer
  std::string head;
  std::string body;
  bool whole = false;  ///< its body came to its end

  std::string header(std::string_view name) const {
    const size_t at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return {};
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send_text(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t n = send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      text.remove_prefix(static_cast<size_t>(n));
    }
  }

  Reply receive(int timeout_ms = 20000) {
    Reply reply;
    size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!more(timeout_ms)) return reply;
    reply.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    reply.status = std::stoi(reply.head.substr(9, 3));
    if (reply.status == 100) return receive(timeout_ms);
    if (reply.header("Transfer-Encoding") == "chunked") {
      reply.whole = take_chunks(reply.body, timeout_ms);
      return reply;
    }
    const std::string length = reply.header("Content-Length");
    const size_t size = length.empty() ? 0 : std::stoul(length);
    reply.whole = take(reply.body, size, timeout_ms);
    return reply;
  }

  /// What comes until the server closes.
  std::string receive_all(int timeout_ms = 20000) {
    while (more(timeout_ms)) {
    }
    return std::exchange(buffer_, {});
  }

  /// True when the server closes within the time.
  bool closed_within(int milliseconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    while (std::chrono::steady_clock::now() < end) {
      pollfd waiting{socket_, POLLIN, 0};
      if (poll(&waiting, 1, 50) == 0) continue;
      char byte;
      if (recv(socket_, &byte, 1, 0) <= 0) return true;
    }
    return false;
  }

  Reply get(const std::string& path, const std::string& headers = "") {
    send_text("GET " + path + " HTTP/1.1\r\nHost: t\r\n" + headers + "\r\n");
    return receive();
  }
  Reply post(const std::string& path, const std::string& body,
             const std::string& headers = "Content-Type: application/json\r\n") {
    send_text("POST " + path + " HTTP/1.1\r\nHost: t\r\n" + headers +
              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return receive();
  }

 private:
  bool take(std::string& out, size_t size, int timeout_ms) {
    while (buffer_.size() < size && more(timeout_ms)) {
    }
    const bool all = buffer_.size() >= size;
    out.append(buffer_, 0, size);
    buffer_.erase(0, size);
    return all;
  }

  bool take_chunks(std::string& out, int timeout_ms) {
    for (;;) {
      size_t line = 0;
      while ((line = buffer_.find("\r\n")) == std::string::npos)
        if (!more(timeout_ms)) return false;
      const size_t size = std::stoul(buffer_.substr(0, line), nullptr, 16);
      buffer_.erase(0, line + 2);
      std::string end;
      if (!take(out, size, timeout_ms) || !take(end, 2, timeout_ms) || end != "\r\n") return false;
      if (size == 0) return true;
    }
  }

  bool more(int timeout_ms) {
    pollfd waiting{socket_, POLLIN, 0};
    if (poll(&waiting, 1, timeout_ms) <= 0) return false;
    char piece[65536];
    const ssize_t n = recv(socket_, piece, sizeof(piece), 0);
    if (n <= 0) return false;
    buffer_.append(piece, static_cast<size_t>(n));
    return true;
  }

  int socket_;
  std::string buffer_;
};

}  // namespace mii::serve
