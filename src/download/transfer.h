#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "download/part_file.h"

namespace mii {

/// One request for what is missing of one range. It runs while its multi handle does, which it must not
/// outlive.
class Transfer {
 public:
  struct Request {
    std::string url;
    uint64_t bytes = 0;  ///< of the whole file; 0: unknown
    size_t range = 0;    ///< of the part file
    bool whole = false;  ///< without a Range header
  };
  enum class Outcome {
    complete,
    broken,      ///< another try may bring more
    busy,        ///< the same, but the server asks for fewer requests
    other_bytes  ///< the server does not give ranges, or not of this file: only the whole file will do
  };

  Transfer(CURLM* multi, Request request, PartFile& part);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  bool is(const CURL* handle) const { return handle == curl_.get(); }

  /// What became of it, once its handle is done. Throws Error{network} for what another try would not cure,
  /// and as PartFile does.
  Outcome judge(CURLcode code);

  /// After judge(), for people.
  const std::string& reason() const { return reason_; }
  /// After judge(): how long the server asks to wait before the next request; 0: it does not say.
  std::chrono::seconds retry_after() const;

 private:
  struct Free {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };

  void ask_for_range();
  bool begin();
  bool take(const char* data, size_t size);
  void take_header(std::string line);
  void expect_size(uint64_t bytes) const;
  long status() const;
  static size_t on_body(char* data, size_t, size_t size, void* self);
  static size_t on_header(char* data, size_t, size_t size, void* self);

  CURLM* multi_;
  const Request request_;
  PartFile& part_;
  bool ranged_ = false;               // a range was asked for
  bool begun_ = false;                // the first byte came
  bool other_bytes_ = false;          // and was not the one that was asked for
  uint64_t first_byte_ = UINT64_MAX;  // as Content-Range has it
  std::exception_ptr fault_;          // thrown in a callback
  std::string reason_;
  std::unique_ptr<CURL, Free> curl_;
};

}  // namespace mii
