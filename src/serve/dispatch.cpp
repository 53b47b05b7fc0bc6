#include "serve/dispatch.h"

#include <atomic>
#include <boost/asio/this_coro.hpp>

#include "core/number_text.h"
#include "search/errors.h"
#include "serve/asio_event.h"

namespace mii::serve {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr int kDatabaseRetrySeconds = 5;
constexpr auto kGoneCheckEvery = std::chrono::milliseconds(100);

// What this coroutine and the workers share of one request: either may be done with it first.
struct Exchange {
  const std::shared_ptr<std::atomic<bool>> given_up = std::make_shared<std::atomic<bool>>(false);
  Request request;
  std::shared_ptr<void> held;
  Outcome outcome;
  std::shared_ptr<Job> job;
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

bool is_the_clients_fault(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::invalid_image:
    case ErrorCode::image_too_large:
    case ErrorCode::invalid_text:
    case ErrorCode::unsupported:
      return true;
    default:
      return false;
  }
}

// Another try, later or of another instance, may do.
bool may_pass(ErrorCode code) {
  return code == ErrorCode::cancelled || code == ErrorCode::out_of_memory || code == ErrorCode::device_lost;
}

// Where a database is, and what it says, goes into the log alone.
Response database_away(Service& service, const Api& api, const Error& error) {
  service.log().write("error", "database_unreachable", {{"reason", json_text(error.what())}});
  Response response = api.error(503, "the collection's database cannot be reached: try again later");
  response.headers.emplace_back("Retry-After", std::to_string(kDatabaseRetrySeconds));
  return response;
}

// The key may, and the service itself may not: by a role in a database, or a folder's permissions.
Response collection_forbidden(Service& service, const Api& api, const Error& error) {
  service.log().write("error", "collection_forbidden", {{"reason", json_text(error.what())}});
  return api.error(403, "the service has not the right to do this to the collection");
}

Response error_response(Service& service, const Api& api, const Error& error) {
  if (is_the_clients_fault(error.code())) return api.error(400, error.what());
  if (error.code() == ErrorCode::network) return database_away(service, api, error);
  if (may_pass(error.code())) return api.error(503, error.what());
  return api.error(500, "Internal Server Error");
}

// What throws becomes an answer.
void carry_out(Service& service, Exchange& exchange, void (*task)(Exchange&, const Route&),
               const Route& route) {
  try {
    task(exchange, route);
  } catch (const search::CollectionForbidden& error) {
    exchange.outcome = collection_forbidden(service, *route.api, error);
  } catch (const Error& error) {
    exchange.outcome = error_response(service, *route.api, error);
  } catch (const std::exception&) {
    exchange.outcome = route.api->error(500, "Internal Server Error");
  }
}

// GCC 12 destroys temporaries twice in an expression with co_await, so tasks are named below.

// Runs task, which must not throw, on a worker and resumes here when it is done, or when patience ends.
asio::awaitable<Ending> on_worker(Service& service, std::function<void()> task, const Patience& patience) {
  const auto event = std::make_shared<Event>(co_await asio::this_coro::executor);
  const auto given_up = std::make_shared<std::atomic<bool>>(false);
  service.workers().post(Workers::Lane::first, [event, given_up, task = std::move(task)] {
    if (!*given_up) task();
    event->fire();
  });
  const Ending ending = co_await wait_for(*event, patience);
  if (ending != Ending::done) *given_up = true;
  co_return ending;
}

void parse(Exchange& exchange, const Route& route) { exchange.outcome = route.handle(exchange.request); }

void write_answer(Exchange& exchange, const Route&) {
  Job& job = *exchange.job;
  Response response = std::get<Work>(exchange.outcome).answer(job.take_images(), job.take_texts());
  exchange.outcome = std::move(response);
}

Response without_answer(Ending ending, const Api& api) {
  return ending == Ending::late ? deadline_passed(api) : api.error(499, "the client has disconnected");
}

Response failure_response(const Job::Failure& failure, const Api& api, size_t images) {
  if (may_pass(failure.code)) return api.error(503, failure.message);
  if (!is_the_clients_fault(failure.code))
    return api.error(500, "the engine failed: " + std::string(to_string(failure.code)));
  if (!failure.image) return api.error(400, failure.message);
  const std::string which =
      images == 1 ? ""
                  : "image " + std::to_string(*failure.image + 1) + " of " + std::to_string(images) + ": ";
  return api.error(400, "Failed to process image: " + which + failure.message);
}

Response queue_full(Service& service, const Api& api) {
  Response response = api.error(429, "the queue is full");
  response.headers.emplace_back("Retry-After", std::to_string(service.encoder().retry_after()));
  return response;
}

}  // namespace

asio::awaitable<Response> dispatch(Service& service, const Route& route, Request request,
                                   std::shared_ptr<void> held, const Patience& patience) {
  const auto start = Clock::now();
  const auto exchange = std::make_shared<Exchange>();
  exchange->request = std::move(request);
  exchange->request.given_up = exchange->given_up;
  exchange->held = std::move(held);
  if (!route.computes) {
    carry_out(service, *exchange, parse, route);
    co_return std::get<Response>(std::move(exchange->outcome));
  }

  auto parsing = on_worker(
      service, [&service, exchange, &route] { carry_out(service, *exchange, parse, route); }, patience);
  const Ending parsed = co_await std::move(parsing);
  if (parsed != Ending::done) {
    *exchange->given_up = true;
    co_return without_answer(parsed, *route.api);
  }
  if (auto* response = std::get_if<Response>(&exchange->outcome)) co_return std::move(*response);
  Work& work = std::get<Work>(exchange->outcome);
  const size_t images = work.images.size();
  // The images of a request are all decoded alike.
  const DecodeOptions decoding =
      decode_options(service.options(), images > 0 ? work.images[0].standardisation : std::nullopt);

  const auto event = std::make_shared<Event>(co_await asio::this_coro::executor);
  // The exchange is held until the last image is done with: it has the body's charge.
  const std::function<void()> settled = [event, exchange] { event->fire(); };
  const std::shared_ptr<Job> job = service.encoder().submit(work, settled);
  if (!job) co_return queue_full(service, *route.api);
  const Ending computed = co_await wait_for(*event, patience);
  if (computed != Ending::done) {
    job->cancel();
    co_return without_answer(computed, *route.api);
  }
  if (job->failure()) co_return failure_response(*job->failure(), *route.api, images);

  exchange->job = job;
  auto writing = on_worker(
      service, [&service, exchange, &route] { carry_out(service, *exchange, write_answer, route); },
      patience);
  const Ending written = co_await std::move(writing);
  if (written != Ending::done) co_return without_answer(written, *route.api);
  if (Clock::now() >= patience.deadline) co_return deadline_passed(*route.api);
  Response response = std::move(std::get<Response>(exchange->outcome));
  response.timing = job->timing();
  response.timing->total = Clock::now() - start;
  if (const auto identity = service.identity(decoding))
    response.headers.emplace_back("X-Model-Identity", identity->fingerprint());
  co_return response;
}

asio::awaitable<int> write_more(Service& service, std::shared_ptr<Pieces> pieces, const Patience& patience) {
  const auto task = [pieces] {
    try {
      pieces->piece = pieces->more();
    } catch (const std::exception&) {
      pieces->failed = true;
    }
  };
  auto writing = on_worker(service, task, patience);
  const Ending ending = co_await std::move(writing);
  if (ending != Ending::done) co_return ending == Ending::late ? 504 : 499;
  co_return pieces->failed ? 500 : 200;
}

}  // namespace mii::serve
