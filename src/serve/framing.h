#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "serve/http.h"
#include "serve/options.h"

namespace mii::serve {

/// Why bytes are no request.
struct FramingFault {
  int status = 400;
  std::string reason = "Invalid HTTP request received.";
};

/// Where the requests of one connection begin and end, by RFC 9112. Bytes in, heads and bodies out; it knows
/// no network. What could be read in two ways is refused, and the connection has to be closed then: nobody
/// can tell where the next request would begin.
class RequestReader {
 public:
  enum class Step {
    more,  ///< all that came is read; the next bytes are needed
    done,
    refused,  ///< see fault()
  };

  /// limits: kept by reference. header_bytes bounds a head, and the lines around the chunks of a body.
  explicit RequestReader(const Limits& limits);
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Where the connection's next bytes go, and how many of them came.
  boost::asio::mutable_buffer room();
  void came(size_t bytes);
  size_t buffered() const { return buffer_.size(); }

  /// Reads the head of the next request. The body of the last one must have ended.
  Step read_head(Request& request);

  // The rest is about the request whose head was read last.

  /// Gives what came of the body to take, piece by piece.
  Step read_body(const std::function<void(std::string_view)>& take);
  bool body_ended() const { return state_ == State::ended; }
  std::optional<uint64_t> content_length() const { return content_length_; }
  bool expects_continue() const { return expects_continue_; }
  bool keep_alive() const { return keep_alive_; }
  unsigned version() const { return version_; }  ///< 10 or 11

  const FramingFault& fault() const { return fault_; }

 private:
  /// What comes next of a body.
  enum class State { bytes, chunk_size, chunk_bytes, chunk_end, trailer, ended };

  Step refuse(FramingFault fault = {});
  std::string_view waiting() const;
  void consume(size_t bytes);
  Step find_head_end();
  void begin_body(const Request& request);
  Step next_line(std::string& line);
  bool take_line(const std::string& line);
  bool take_bytes(const std::function<void(std::string_view)>& take);

  const Limits& limits_;
  boost::beast::flat_buffer buffer_;
  size_t scanned_ = 0;  // waiting bytes in which an end was looked for
  bool blank_line_skipped_ = false;

  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  std::optional<uint64_t> content_length_;

  State state_ = State::ended;
  uint64_t left_ = 0;           // bytes of the body or chunk
  uint64_t framing_bytes_ = 0;  // of the lines around chunks, and trailers
  uint64_t chunks_ = 0;
  FramingFault fault_;
};

}  // namespace mii::serve
