#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "mii/profile.h"
#include "serve/timing.h"

namespace mii::serve {

/// What one client may ask for. Everything beyond is refused with a 4xx before any memory is taken for it.
struct Limits {
  uint64_t body_bytes = 64ull << 20;     ///< of one request
  uint64_t bodies_bytes = 1ull << 30;    ///< of all requests that are in memory at once
  size_t header_bytes = 16 << 10;        ///< request line and headers
  size_t images = 128;                   ///< of one request
  size_t texts = 1024;                   ///< labels or texts of one request
  size_t text_bytes = 8 << 10;           ///< of one label or text
  size_t json_depth = 32;                ///< of nested lists and objects
  size_t connections = 4096;             ///< open at once
  size_t client_connections = 0;         ///< of one address at once; 0: no bound
  double client_rate = 0;                ///< requests a second of one key or address; 0: no bound
  double client_burst = 20;              ///< requests that come at once, within that
  uint64_t image_pixels = 100'000'000;   ///< width * height of one image
  uint64_t volume_bytes = 256ull << 20;  ///< of a NIfTI volume, inflated
  Seconds header_time = Seconds(10);     ///< for the whole head of a request, once its first byte came
  Seconds body_time = Seconds(60);       ///< for the whole body
  Seconds write_time = Seconds(60);      ///< for the whole answer
  Seconds idle_time = Seconds(75);       ///< between two requests of a connection
};

/// How work is gathered before it is computed.
struct Batching {
  size_t max_batch = 0;  ///< images of one batch; 0: the engine's own best number
  size_t max_text_batch = 256;
  Seconds wait = Seconds(0.002);  ///< for companions that are still being decoded
  size_t queue_images = 512;      ///< admitted and not yet answered; beyond: 429
  size_t queue_texts = 8192;
  int decode_threads = 0;  ///< 0: one for each core
};

/// Everything `mii serve` may be told, except the model.
struct ServeOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;                        ///< 0: any free one
  std::string model_name = "medimageinsight";  ///< in /v1/models and /v1/embeddings
  Limits limits;
  Batching batching;
  Seconds deadline = Seconds(0);             ///< of a request that names none; 0: none
  Seconds drain = Seconds(30);               ///< what SIGTERM leaves for requests under way
  Seconds watchdog_interval = Seconds(30);   ///< an idle engine is asked for a vector this often
  Seconds stuck_after = Seconds(120);        ///< a computation of this length means a stuck engine
  std::filesystem::path keys_file;           ///< empty: no key is asked for
  std::filesystem::path heads_folder;        ///< of NAME.head files; empty: none
  std::filesystem::path collections_folder;  ///< of collections, a folder each; empty: none
  std::vector<std::string> databases;        ///< further collections: [NAME=]postgresql://...
  bool audit = false;                        ///< searches are recorded with their collections
  std::filesystem::path tls_certificate;     ///< PEM chain; empty: plain HTTP
  std::filesystem::path tls_key;
  Profile profile;                         ///< how DICOM and NIfTI become grey
  std::vector<std::string> cors_origins;   ///< empty: no CORS header; "*" allows every origin
  std::vector<std::string> allowed_hosts;  ///< names in Host besides the service's own addresses
  std::filesystem::path docs_folder;       ///< scripts of /docs and /redoc; empty: none
};

}  // namespace mii::serve
