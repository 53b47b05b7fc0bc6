#include "serve/refuse_connection.h"

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <string>
#include <string_view>

namespace mii::serve {

namespace asio = boost::asio;

asio::awaitable<void> refuse_connection(asio::ip::tcp::socket socket) {
  constexpr std::string_view kBody = R"({"detail":"this address has too many connections"})";
  const std::string answer =
      "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
      "Cache-Control: no-store\r\nConnection: close\r\nContent-Length: " +
      std::to_string(kBody.size()) + "\r\n\r\n" + std::string(kBody);
  boost::beast::tcp_stream stream(std::move(socket));
  stream.expires_after(std::chrono::seconds(1));
  boost::system::error_code error;
  co_await asio::async_write(stream, asio::buffer(answer), asio::redirect_error(asio::use_awaitable, error));
  stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  // What the client has sent is read: with it unread the system would send a reset instead of the answer.
  std::array<char, 4096> piece{};
  while (!error)
    co_await stream.async_read_some(asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
}

}  // namespace mii::serve
