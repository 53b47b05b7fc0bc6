#include "serve/dispatch.h"

#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <cmath>

#include "core/number_text.h"
#include "serve/asio_event.h"

namespace mii::serve {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kGoneCheckEvery = std::chrono::milliseconds(100);
constexpr double kMaxDeadlineSeconds = 86400;

// Runs task on a worker and resumes here. What it throws becomes a 500.
asio::awaitable<void> on_worker(Service& service, Response& failure, const std::function<void()>& task) {
  auto event = std::make_shared<Event>(co_await asio::this_coro::executor);
  service.workers().post(Workers::Lane::first, [&failure, event, &task] {
    try {
      task();
    } catch (const Error& error) {
      failure =
          error_response(ErrorStyle::detail, error.code() == ErrorCode::internal ? 500 : 400, error.what());
    } catch (const std::exception&) {
      failure = error_response(ErrorStyle::detail, 500, "Internal Server Error");
    }
    event->fire();
  });
  bool done = false;
  while (!done) done = co_await event->wait(Clock::time_point::max());
}

// Seconds; 0: none. False for a header that is no positive number.
bool read_deadline(const Request& request, const ServeOptions& options, double& seconds) {
  const std::string_view text = request.header("x-request-timeout");
  seconds = options.deadline.count();
  if (text.empty()) return true;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return error == std::errc() && end == text.data() + text.size() && seconds > 0 &&
         seconds <= kMaxDeadlineSeconds;
}

std::string milliseconds(Seconds seconds) { return number_text(std::round(seconds.count() * 1e5) / 1e2); }

Response failure_response(const Job::Failure& failure, ErrorStyle style, size_t images) {
  switch (failure.code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::invalid_image:
    case ErrorCode::image_too_large:
    case ErrorCode::invalid_text:
    case ErrorCode::unsupported:
      break;
    case ErrorCode::cancelled:
      return error_response(style, 503, failure.message);
    default:
      return error_response(style, 500, "the engine failed: " + std::string(to_string(failure.code)));
  }
  if (!failure.image) return error_response(style, 400, failure.message);
  const std::string which =
      images == 1 ? ""
                  : "image " + std::to_string(*failure.image + 1) + " of " + std::to_string(images) + ": ";
  return error_response(style, 400, "Failed to process image: " + which + failure.message);
}

void add_timing(Response& response, const Job::Timing& timing, Seconds total) {
  response.headers.emplace_back("X-Queue-Ms", milliseconds(timing.queue));
  response.headers.emplace_back("X-Preprocess-Ms", milliseconds(timing.preprocess));
  response.headers.emplace_back("X-Inference-Ms", milliseconds(timing.inference));
  response.headers.emplace_back("X-Total-Ms", milliseconds(total));
}

Response queue_full(Service& service, ErrorStyle style) {
  Response response = error_response(style, 429, "the queue is full");
  response.headers.emplace_back("Retry-After", std::to_string(service.encoder().retry_after()));
  return response;
}

}  // namespace

asio::awaitable<Response> dispatch(Service& service, const Route& route, Request& request,
                                   const std::function<bool()>& gone) {
  const auto start = Clock::now();
  if (!route.computes) co_return std::get<Response>(route.handle(request, service));
  double deadline_seconds = 0;
  if (!read_deadline(request, service.options(), deadline_seconds))
    co_return error_response(route.errors, 400,
                             "X-Request-Timeout must be a number of seconds, at most 86400");
  const auto deadline = deadline_seconds == 0
                            ? Clock::time_point::max()
                            : start + std::chrono::duration_cast<Clock::duration>(Seconds(deadline_seconds));

  Outcome outcome;
  Response failed;
  failed.status = 0;
  const std::function<void()> handle = [&] { outcome = route.handle(request, service); };
  co_await on_worker(service, failed, handle);
  if (failed.status != 0) co_return failed;
  if (auto* response = std::get_if<Response>(&outcome)) co_return std::move(*response);
  Work& work = std::get<Work>(outcome);
  const size_t images = work.images.size();

  auto done = std::make_shared<Event>(co_await asio::this_coro::executor);
  const std::shared_ptr<Job> job = service.encoder().submit(work, [done] { done->fire(); });
  if (!job) co_return queue_full(service, route.errors);
  for (;;) {
    const bool settled = co_await done->wait(std::min(deadline, Clock::now() + kGoneCheckEvery));
    if (settled) break;
    const bool late = Clock::now() >= deadline;
    if (!late && !gone()) continue;
    job->cancel();
    co_return error_response(route.errors, late ? 504 : 499,
                             late ? "the deadline has passed" : "the client has left");
  }
  if (job->failure()) co_return failure_response(*job->failure(), route.errors, images);

  Response response;
  const std::function<void()> write = [&] { response = work.answer(job->images(), job->texts()); };
  co_await on_worker(service, response, write);
  add_timing(response, job->timing(), Clock::now() - start);
  co_return response;
}

}  // namespace mii::serve
