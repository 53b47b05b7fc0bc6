#include "serve/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <fstream>
#include <mutex>

namespace mii::serve {
namespace {

using prometheus::Histogram;

const Histogram::BucketBoundaries kSeconds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                           0.25,  0.5,    1,     2.5,  5,     10,   30};
const Histogram::BucketBoundaries kSizes{1, 2, 4, 8, 16, 32, 64, 128, 256};

double resident_bytes() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

}  // namespace

class Metrics::Impl {
 public:
  prometheus::Family<prometheus::Counter>& counter(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<Histogram>& histogram(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<prometheus::Gauge>& gauge(const std::string& name, const std::string& help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  // Counters that are kept elsewhere are brought up to date.
  static void raise(prometheus::Counter& counter, uint64_t value) {
    const double missing = static_cast<double>(value) - counter.Value();
    if (missing > 0) counter.Increment(missing);
  }

  prometheus::Registry registry;
  std::mutex scrape;
  prometheus::Family<prometheus::Counter>& requests =
      counter("mii_requests_total", "Requests answered, by route, method and status");
  prometheus::Family<Histogram>& latency =
      histogram("mii_request_seconds", "From the request's head to the last byte of its answer");
  prometheus::Family<Histogram>& waits =
      histogram("mii_queue_wait_seconds", "Wait of a prepared item for its batch");
  prometheus::Family<Histogram>& sizes = histogram("mii_batch_size", "Items of a batch");
  prometheus::Family<Histogram>& inference = histogram("mii_inference_seconds", "Computation of a batch");
  prometheus::Family<prometheus::Counter>& items = counter("mii_items_total", "Images and texts computed");
  Histogram& preprocess =
      histogram("mii_preprocess_seconds", "Decoding and resizing of an image").Add({}, kSeconds);
  prometheus::Family<prometheus::Gauge>& admitted =
      gauge("mii_admitted_items", "Items taken and not yet answered");
  prometheus::Family<prometheus::Gauge>& queued = gauge("mii_queue_length", "Items that wait for a batch");
  prometheus::Gauge& connections = gauge("mii_connections", "Open connections").Add({});
  prometheus::Family<prometheus::Counter>& connections_refused =
      counter("mii_connections_refused_total", "Connections beyond the limit of all or of one client");
  prometheus::Counter& refused = connections_refused.Add({{"limit", "all"}});
  prometheus::Counter& client_refused = connections_refused.Add({{"limit", "client"}});
  prometheus::Family<prometheus::Counter>& requests_refused =
      counter("mii_requests_refused_total",
              "Requests beyond a client's rate, of a foreign Host or of a foreign origin");
  prometheus::Counter& cache_hits =
      counter("mii_text_cache_hits_total", "Texts whose vector was remembered").Add({});
  prometheus::Counter& cache_misses =
      counter("mii_text_cache_misses_total", "Texts that were computed").Add({});
  prometheus::Counter& log_dropped =
      counter("mii_log_lines_dropped_total", "Log lines that could not be written").Add({});
  prometheus::Gauge& ready = gauge("mii_ready", "1 once the model is loaded and warm").Add({});
  prometheus::Gauge& healthy = gauge("mii_healthy", "1 while the engine answers").Add({});
  prometheus::Family<prometheus::Gauge>& device_memory =
      gauge("mii_device_memory_bytes", "Memory of the device that the engine has taken");
  prometheus::Family<prometheus::Gauge>& device_total =
      gauge("mii_device_memory_total_bytes", "Memory of the device");
  prometheus::Family<prometheus::Gauge>& device_lost =
      gauge("mii_device_lost", "1 once the device no longer works");
  prometheus::Gauge& memory = gauge("process_resident_memory_bytes", "Resident memory").Add({});
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::request(std::string_view route, std::string_view method, int status, Seconds seconds) {
  const std::string name(route);
  impl_->requests.Add({{"route", name}, {"method", std::string(method)}, {"status", std::to_string(status)}})
      .Increment();
  impl_->latency.Add({{"route", name}}, kSeconds).Observe(seconds.count());
}

void Metrics::batch(std::string_view kind, size_t size, Seconds seconds, std::span<const Seconds> waits) {
  const prometheus::Labels labels{{"kind", std::string(kind)}};
  impl_->sizes.Add(labels, kSizes).Observe(static_cast<double>(size));
  impl_->inference.Add(labels, kSeconds).Observe(seconds.count());
  impl_->items.Add(labels).Increment(static_cast<double>(size));
  Histogram& histogram = impl_->waits.Add(labels, kSeconds);
  for (const Seconds wait : waits) histogram.Observe(wait.count());
}

void Metrics::preprocessed(Seconds seconds) { impl_->preprocess.Observe(seconds.count()); }

void Metrics::connection_refused(bool by_client) {
  (by_client ? impl_->client_refused : impl_->refused).Increment();
}

void Metrics::request_refused(std::string_view reason) {
  impl_->requests_refused.Add({{"reason", std::string(reason)}}).Increment();
}

std::string Metrics::text(const Gauges& gauges) {
  const std::lock_guard lock(impl_->scrape);
  impl_->admitted.Add({{"kind", "image"}}).Set(static_cast<double>(gauges.admitted_images));
  impl_->admitted.Add({{"kind", "text"}}).Set(static_cast<double>(gauges.admitted_texts));
  impl_->queued.Add({{"kind", "image"}}).Set(static_cast<double>(gauges.queued_images));
  impl_->queued.Add({{"kind", "text"}}).Set(static_cast<double>(gauges.queued_texts));
  impl_->connections.Set(static_cast<double>(gauges.connections));
  Impl::raise(impl_->cache_hits, gauges.cache_hits);
  Impl::raise(impl_->cache_misses, gauges.cache_misses);
  Impl::raise(impl_->log_dropped, gauges.log_lines_dropped);
  impl_->ready.Set(gauges.ready ? 1 : 0);
  impl_->healthy.Set(gauges.healthy ? 1 : 0);
  impl_->memory.Set(resident_bytes());
  for (const ModelDevice& device : gauges.devices) {
    const prometheus::Labels labels{{"device", std::to_string(device.info.device)}};
    impl_->device_memory.Add(labels).Set(static_cast<double>(device.info.memory_bytes));
    impl_->device_total.Add(labels).Set(static_cast<double>(device.info.total_bytes));
    impl_->device_lost.Add(labels).Set(device.lost ? 1 : 0);
  }
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace mii::serve
