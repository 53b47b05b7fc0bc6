#include "download/fetch.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "download/transfer.h"
#include "mii/error.h"

namespace mii {
namespace {

using Clock = std::chrono::steady_clock;
using Outcome = Transfer::Outcome;

constexpr std::chrono::seconds kLongestWait{600};
constexpr int kPollMs = 100;
constexpr int kMostDoublings = 10;

struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// The requests of one file. All in one thread: libcurl serves them in turns.
class Fetch {
 public:
  Fetch(const RemoteFile& file, PartFile& part, const DownloadOptions& options)
      : file_(file),
        part_(part),
        options_(options),
        url_(options.base_url + "/" + file.path),
        connections_(std::max<size_t>(options.connections, 1)),
        most_received_(part.received()),
        multi_(curl_multi_init()),
        tries_(part.ranges().size()) {
    if (!multi_) throw Error(ErrorCode::internal, "libcurl cannot be started");
  }

  void run() {
    while (!part_.complete()) {
      if (options_.cancelled && options_.cancelled())
        throw Error(ErrorCode::cancelled, file_.path + ": stopped; the next call resumes from here");
      start();
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      const bool ended = settle();
      if (options_.progress) options_.progress(file_.path, part_.received(), file_.bytes);
      if (!ended) curl_multi_poll(multi_.get(), nullptr, 0, kPollMs, nullptr);
    }
  }

 private:
  // What was tried of a range.
  struct Tries {
    std::unique_ptr<Transfer> running;
    Clock::time_point not_before{};
    uint64_t received = 0;  // of the whole file, when a try last failed
    int failures = 0;       // since then
  };

  size_t running() const {
    return static_cast<size_t>(std::ranges::count_if(tries_, [](const Tries& t) { return !!t.running; }));
  }

  // Requests for the first ranges that have none, as many as may run.
  void start() {
    const auto now = Clock::now();
    if (now < not_before_) return;
    for (size_t r = 0; r < tries_.size() && running() < connections_; ++r) {
      if (tries_[r].running || part_.ranges()[r].complete() || now < tries_[r].not_before) continue;
      if (whole_) part_.start_over();
      tries_[r].running = std::make_unique<Transfer>(
          multi_.get(), Transfer::Request{.url = url_, .bytes = file_.bytes, .range = r, .whole = whole_},
          part_);
    }
  }

  // Returns whether a request has ended.
  bool settle() {
    bool ended = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      const CURLcode code = message->data.result;
      const auto done = std::ranges::find_if(tries_, [handle = message->easy_handle](const Tries& tries) {
        return tries.running && tries.running->is(handle);
      });
      if (done == tries_.end()) continue;
      const std::unique_ptr<Transfer> transfer = std::move(done->running);
      settle(*transfer, transfer->judge(code), *done);
      ended = true;
    }
    return ended;
  }

  void settle(const Transfer& transfer, Outcome outcome, Tries& tries) {
    if (outcome == Outcome::complete) return;
    if (outcome == Outcome::other_bytes && !whole_) return fall_back_to_whole();
    if (outcome == Outcome::busy) ask_for_less(transfer.retry_after());
    fail(tries, transfer.reason());
  }

  void ask_for_less(std::chrono::seconds retry_after) {
    if (retry_after > kLongestWait)
      throw Error(ErrorCode::network, url_ + ": the server asks to wait for " +
                                          std::to_string(retry_after.count()) +
                                          " s; what was received is kept for the next call");
    not_before_ = std::max(not_before_, Clock::now() + retry_after);
    connections_ = std::max<size_t>(connections_ / 2, 1);
  }

  // A byte more of any range is a sign that the server goes on.
  void fail(Tries& tries, const std::string& reason) {
    most_received_ = std::max(most_received_, part_.received());
    if (most_received_ > tries.received) tries.failures = 0;
    tries.received = most_received_;
    if (++tries.failures > options_.retries)
      throw Error(ErrorCode::network, url_ + ": gave up after " + std::to_string(tries.failures) +
                                          " tries: " + reason +
                                          "; what was received is kept for the next call");
    tries.not_before =
        Clock::now() + options_.retry_wait * (1 << std::min(tries.failures - 1, kMostDoublings));
  }

  // The file is one range from now on, which no request names.
  void fall_back_to_whole() {
    whole_ = true;
    part_.start_over();
    const uint64_t received = most_received_;
    tries_.clear();
    tries_.emplace_back().received = received;
  }

  const RemoteFile& file_;
  PartFile& part_;
  const DownloadOptions& options_;
  const std::string url_;
  size_t connections_;
  uint64_t most_received_;
  bool whole_ = false;
  Clock::time_point not_before_{};
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::vector<Tries> tries_;  // of each range
};

}  // namespace

void fetch(const RemoteFile& file, PartFile& part, const DownloadOptions& options) {
  Fetch(file, part, options).run();
}

}  // namespace mii
