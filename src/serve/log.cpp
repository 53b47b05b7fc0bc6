#include "serve/log.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "core/json_writer.h"
#include "core/number_text.h"
#include "mii/error.h"

namespace mii::serve {
namespace {

constexpr size_t kMaxQueuedLines = 10'000;

// "2026-01-31T23:59:59.123Z"
std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%s.%03dZ", date.data(), static_cast<int>(milliseconds));
  return text.data();
}

}  // namespace

Log::Log(Sink sink, Reopen reopen)
    : sink_(std::move(sink)), reopen_(std::move(reopen)), thread_([this] { serve(); }) {}

Log::~Log() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Log::write(std::string_view level, std::string_view event,
                const std::vector<std::pair<std::string_view, std::string>>& fields) {
  JsonWriter json(JsonWriter::Style::compact);
  json.begin_object().member("time", timestamp()).member("level", level).member("event", event);
  for (const auto& [name, value] : fields) json.member(name, RawJson{value});
  std::string line = json.end_object().finish();
  line += '\n';
  {
    const std::lock_guard lock(mutex_);
    if (lines_.size() >= kMaxQueuedLines) {
      ++dropped_;
      return;
    }
    lines_.push_back(std::move(line));
  }
  changed_.notify_one();
}

void Log::reopen() {
  if (!reopen_) return;
  {
    const std::lock_guard lock(mutex_);
    must_reopen_ = true;
  }
  changed_.notify_one();
}

void Log::reopen_now() {
  try {
    reopen_();
    write("info", "reloaded", {{"what", json_text("log")}});
  } catch (const Error& error) {
    write("error", "reload_failed", {{"what", json_text("log")}, {"reason", json_text(error.what())}});
  }
}

void Log::serve() {
  std::deque<std::string> batch;
  for (;;) {
    bool must_reopen = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || must_reopen_ || !lines_.empty(); });
      if (lines_.empty() && !must_reopen_) return;
      must_reopen = std::exchange(must_reopen_, false);
      batch.swap(lines_);
    }
    for (const std::string& line : batch)
      if (!sink_(line)) ++dropped_;
    batch.clear();
    if (must_reopen) reopen_now();
  }
}

}  // namespace mii::serve
