#include "serve/dispatch.h"

#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <cmath>

#include "core/number_text.h"
#include "serve/asio_event.h"

namespace mii::serve {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr auto kGoneCheckEvery = std::chrono::milliseconds(100);

// What this coroutine and the workers share of one request: either may be done with it first.
struct Exchange {
  Request request;
  std::shared_ptr<void> held;
  Outcome outcome;
  std::shared_ptr<Job> job;
  std::atomic<bool> given_up = false;
};

enum class Ending { done, late, left };

asio::awaitable<Ending> wait_for(Event& event, const Patience& patience) {
  for (;;) {
    const bool done = co_await event.wait(std::min(patience.deadline, Clock::now() + kGoneCheckEvery));
    if (done) co_return Ending::done;
    if (Clock::now() >= patience.deadline) co_return Ending::late;
    if (patience.gone()) co_return Ending::left;
  }
}

// What throws becomes an answer.
void carry_out(Exchange& exchange, void (*task)(Exchange&, Service&, const Route&), Service& service,
               const Route& route) {
  try {
    task(exchange, service, route);
  } catch (const Error& error) {
    exchange.outcome =
        error_response(route.errors, error.code() == ErrorCode::internal ? 500 : 400, error.what());
  } catch (const std::exception&) {
    exchange.outcome = error_response(route.errors, 500, "Internal Server Error");
  }
}

// Runs task on a worker and resumes here when it is done, or when patience ends.
asio::awaitable<Ending> on_worker(Service& service, const Route& route,
                                  const std::shared_ptr<Exchange>& exchange,
                                  void (*task)(Exchange&, Service&, const Route&), const Patience& patience) {
  const auto event = std::make_shared<Event>(co_await asio::this_coro::executor);
  service.workers().post(Workers::Lane::first, [exchange, event, task, &service, &route] {
    if (!exchange->given_up) carry_out(*exchange, task, service, route);
    event->fire();
  });
  const Ending ending = co_await wait_for(*event, patience);
  if (ending != Ending::done) exchange->given_up = true;
  co_return ending;
}

void parse(Exchange& exchange, Service& service, const Route& route) {
  exchange.outcome = route.handle(exchange.request, service);
}

void write_answer(Exchange& exchange, Service&, const Route&) {
  const Job& job = *exchange.job;
  Response response = std::get<Work>(exchange.outcome).answer(job.images(), job.texts());
  exchange.outcome = std::move(response);
}

Response without_answer(Ending ending, ErrorStyle style) {
  return ending == Ending::late ? deadline_passed(style) : error_response(style, 499, "the client has left");
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

asio::awaitable<Response> dispatch(Service& service, const Route& route, Request request,
                                   std::shared_ptr<void> held, const Patience& patience) {
  const auto start = Clock::now();
  if (!route.computes) co_return std::get<Response>(route.handle(request, service));
  const auto exchange = std::make_shared<Exchange>();
  exchange->request = std::move(request);
  exchange->held = std::move(held);

  const Ending parsed = co_await on_worker(service, route, exchange, parse, patience);
  if (parsed != Ending::done) co_return without_answer(parsed, route.errors);
  if (auto* response = std::get_if<Response>(&exchange->outcome)) co_return std::move(*response);
  Work& work = std::get<Work>(exchange->outcome);
  const size_t images = work.images.size();

  const auto event = std::make_shared<Event>(co_await asio::this_coro::executor);
  // The exchange is held until the last picture is done with: it has the body's charge.
  const std::function<void()> settled = [event, exchange] { event->fire(); };
  const std::shared_ptr<Job> job = service.encoder().submit(work, settled);
  if (!job) co_return queue_full(service, route.errors);
  const Ending computed = co_await wait_for(*event, patience);
  if (computed != Ending::done) {
    job->cancel();
    co_return without_answer(computed, route.errors);
  }
  if (job->failure()) co_return failure_response(*job->failure(), route.errors, images);

  exchange->job = job;
  const Ending written = co_await on_worker(service, route, exchange, write_answer, patience);
  if (written != Ending::done) co_return without_answer(written, route.errors);
  if (Clock::now() >= patience.deadline) co_return deadline_passed(route.errors);
  Response response = std::move(std::get<Response>(exchange->outcome));
  add_timing(response, job->timing(), Clock::now() - start);
  co_return response;
}

}  // namespace mii::serve
