#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

namespace mii::serve {

/// Fired once by any thread and awaited by one coroutine on the network's thread.
class Event : public std::enable_shared_from_this<Event> {
 public:
  explicit Event(const boost::asio::any_io_executor& executor) : timer_(executor) {}

  void fire() {
    boost::asio::post(timer_.get_executor(), [self = shared_from_this()] {
      self->fired_ = true;
      self->timer_.cancel();
    });
  }

  /// True once it was fired; false when `until` came first.
  boost::asio::awaitable<bool> wait(std::chrono::steady_clock::time_point until) {
    if (!fired_) {
      timer_.expires_at(until);
      boost::system::error_code ignored;
      co_await timer_.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }
    co_return fired_;
  }

 private:
  boost::asio::steady_timer timer_;
  bool fired_ = false;  // network's thread only, as the timer
};

}  // namespace mii::serve
