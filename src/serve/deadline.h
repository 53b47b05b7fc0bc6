#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <memory>
#include <variant>

#include "serve/api.h"
#include "serve/options.h"

namespace mii::serve {

using Deadline = std::chrono::steady_clock::time_point;
constexpr Deadline kNoDeadline = Deadline::max();

/// When a request that came at `start` must be answered, by its X-Request-Timeout or the option; or the
/// answer that refuses a header that is no number of seconds. Only what computes has a deadline.
std::variant<Deadline, Response> deadline_of(const Request& request, const Route& route,
                                             const ServeOptions& options, Deadline start);

Response deadline_passed(const Api& api);

/// Breaks off what a stream is doing when the deadline comes, unless this is gone by then; the stream stays
/// open. On the network's thread.
class BreakOff {
 public:
  BreakOff(boost::beast::tcp_stream& stream, Deadline deadline);
  ~BreakOff() { state_->stream = nullptr; }
  BreakOff(const BreakOff&) = delete;
  BreakOff& operator=(const BreakOff&) = delete;

  bool happened() const { return state_->happened; }

 private:
  // The timer's handler may be on its way when this goes.
  struct State {
    explicit State(boost::beast::tcp_stream* s) : stream(s) {}
    boost::beast::tcp_stream* stream;
    bool happened = false;
  };
  boost::asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

}  // namespace mii::serve
