#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/model.h"
#include "serve/options.h"

namespace mii::serve {

/// Values that are read when the metrics are requested.
struct Gauges {
  size_t admitted_images = 0, admitted_texts = 0;
  size_t queued_images = 0, queued_texts = 0;
  size_t connections = 0;
  uint64_t cache_hits = 0, cache_misses = 0;
  uint64_t log_lines_dropped = 0;
  bool ready = false;
  bool healthy = false;
  std::vector<ModelDevice> devices;
};

/// Counters and histograms in Prometheus' text format. Safe to use from several threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// route: the route's pattern, never what a client sent.
  void request(std::string_view route, std::string_view method, int status, Seconds seconds);
  void batch(std::string_view kind, size_t size, Seconds seconds, std::span<const Seconds> waits);
  void preprocessed(Seconds seconds);
  /// by_client: the limit of one client, not of all.
  void connection_refused(bool by_client);
  /// reason: "rate", "host" or "origin".
  void request_refused(std::string_view reason);

  std::string text(const Gauges& gauges);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mii::serve
