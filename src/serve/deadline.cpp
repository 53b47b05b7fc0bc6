#include "serve/deadline.h"

#include <charconv>

namespace mii::serve {
namespace {

constexpr double kMaxSeconds = 86400;

// False for what is no positive number within the bound.
bool read_seconds(std::string_view text, double& seconds) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return error == std::errc() && end == text.data() + text.size() && seconds > 0 && seconds <= kMaxSeconds;
}

}  // namespace

std::variant<Deadline, Response> deadline_of(const Request& request, const Route& route,
                                             const ServeOptions& options, Deadline start) {
  if (!route.computes) return kNoDeadline;
  double seconds = options.deadline.count();
  const std::string_view text = request.header("x-request-timeout");
  if (!text.empty() && !read_seconds(text, seconds))
    return route.api->error(400, "X-Request-Timeout must be a number of seconds, at most 86400");
  if (seconds == 0) return kNoDeadline;
  return start + std::chrono::duration_cast<Deadline::duration>(Seconds(seconds));
}

Response deadline_passed(const Api& api) { return api.error(504, "the deadline has passed"); }

BreakOff::BreakOff(boost::beast::tcp_stream& stream, Deadline deadline)
    : timer_(stream.get_executor()), state_(std::make_shared<State>(State{&stream})) {
  if (deadline == kNoDeadline) return;
  timer_.expires_at(deadline);
  timer_.async_wait([state = state_](const boost::system::error_code& error) {
    if (error || state->stream == nullptr) return;
    state->happened = true;
    state->stream->cancel();
  });
}

}  // namespace mii::serve
