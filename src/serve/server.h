#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "serve/model.h"
#include "serve/options.h"

namespace mii::serve {

/// The HTTP service. Its routes are those of the APIs (service.cpp lists them); docs/service.md describes
/// them.
///
/// One thread does the network, workers parse, decode and write answers, the engine computes in batches.
class Server {
 public:
  using LogSink = std::function<bool(std::string_view line)>;
  using OpenModel = std::function<std::unique_ptr<const Model>()>;

  /// Binds the address at once: port() is known, and clients may connect. log receives JSON lines, each with
  /// its line break, on a thread of its own; it returns false for a line that it could not write.
  /// Throws Error{io} when the address cannot be bound, Error as Keys::read does, and Error{invalid_argument}
  /// for a certificate or key that cannot be used.
  /// reopen_log: called on the same thread by reload(); it throws Error when it could not, and log goes on as
  /// before.
  Server(ServeOptions options, LogSink log, std::function<void()> reopen_log = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;

  struct RunOptions {
    /// SIGTERM and SIGINT stop (the second one at once), SIGHUP reloads.
    bool handle_signals = false;
    /// Called on the loading thread once the model is warm.
    std::function<void(const ModelInfo&)> on_ready;
  };

  /// Loads the model in the background and serves until stop(). True when every request under way was
  /// answered within the drain time; after false, destroying this object may wait for the engine. Rethrows
  /// what open_model throws.
  bool run(const OpenModel& open_model, const RunOptions& options);
  bool run(const OpenModel& open_model) { return run(open_model, RunOptions{}); }

  /// Stops accepting, lets requests finish, then makes run() return. Any thread.
  void stop();

  /// Opens the log anew and reads keys and certificate again; a file that cannot be used is logged, and the
  /// old one stays. Any thread.
  void reload();

  /// Writes a sentence about the model or the set-up to the log; nothing of users' data. Any thread.
  void log_warning(std::string_view sentence);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii::serve
