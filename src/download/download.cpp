#include "download/download.h"

#include <curl/curl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "core/file.h"
#include "core/sha256.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

constexpr long kSlowBytesPerSecond = 100;
constexpr long kSlowSeconds = 30;
constexpr long kConnectSeconds = 30;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct CloseCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

fs::path part_of(fs::path path) { return path += ".part"; }

uint64_t size_or_zero(const fs::path& path) {
  std::error_code none;
  const auto size = fs::file_size(path, none);
  return none ? 0 : size;
}

// One request for what is missing of one file.
class Transfer {
 public:
  Transfer(const RemoteFile& file, fs::path part, const DownloadOptions& options)
      : file_(file), part_(std::move(part)), options_(options), start_(size_or_zero(part_)) {
    out_.reset(std::fopen(part_.c_str(), "abe"));
    if (!out_) throw Error(ErrorCode::io, part_.string() + ": cannot be written: " + std::strerror(errno));
  }

  enum class Outcome { complete, broken };

  // Throws for what another try would not cure.
  Outcome run() {
    const std::unique_ptr<CURL, CloseCurl> curl(curl_easy_init());
    if (!curl) throw Error(ErrorCode::internal, "libcurl cannot be started");
    curl_ = curl.get();
    const std::string url = options_.base_url + "/" + file_.path;
    const std::string range = std::to_string(start_) + "-";
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    if (start_ > 0) curl_easy_setopt(curl_, CURLOPT_RANGE, range.c_str());
    curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl_, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl_, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl_, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(curl_, CURLOPT_LOW_SPEED_LIMIT, kSlowBytesPerSecond);
    curl_easy_setopt(curl_, CURLOPT_LOW_SPEED_TIME, kSlowSeconds);
    curl_easy_setopt(curl_, CURLOPT_USERAGENT, "mii");
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    curl_easy_setopt(curl_, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(curl_, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl_, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    curl_easy_setopt(curl_, CURLOPT_XFERINFODATA, this);
    const CURLcode code = curl_easy_perform(curl_);
    const bool flushed = std::fflush(out_.get()) == 0;
    if (cancelled())
      throw Error(ErrorCode::cancelled, part_.string() + ": stopped; the next call resumes from here");
    if (!disk_error_.empty() || !flushed)
      throw Error(ErrorCode::io, part_.string() + ": cannot be written: " +
                                     (disk_error_.empty() ? std::strerror(errno) : disk_error_));
    return judge(code, url);
  }

  /// Why the last run() broke off, for people.
  const std::string& reason() const { return reason_; }

 private:
  Outcome judge(CURLcode code, const std::string& url) {
    const long status = this->status();
    reason_ = code != CURLE_OK ? curl_easy_strerror(code) : "status " + std::to_string(status);
    const bool temporary = status == 0 || status == 408 || status == 429 || status >= 500;
    if (status >= 400 && !temporary && status != 416)
      throw Error(ErrorCode::network, url + ": the server answered " + std::to_string(status));
    if (status == 416 || wrong_range_) {  // our part is not the beginning of what the server has
      truncate();
      return Outcome::broken;
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
      throw Error(ErrorCode::network, url + ": " + reason_ + ", expected an http or https address");
    return code == CURLE_OK && (status == 200 || status == 206) ? Outcome::complete : Outcome::broken;
  }

  long status() const {
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  bool cancelled() const { return options_.cancelled && options_.cancelled(); }

  void truncate() {
    out_.reset(std::fopen(part_.c_str(), "wbe"));
    start_ = 0;
  }

  // Before the first byte: is it the byte that was asked for?
  bool begin() {
    begun_ = true;
    const long answered = status();
    if (answered == 206) return !(wrong_range_ = range_start_ != start_);
    if (answered == 200 && start_ > 0) truncate();  // the server sends the whole file
    return answered == 200;
  }

  static size_t on_body(char* data, size_t, size_t n, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (!transfer.begun_ && !transfer.begin()) return 0;
    if (transfer.status() >= 300) return n;
    if (transfer.out_ && std::fwrite(data, 1, n, transfer.out_.get()) == n) return n;
    transfer.disk_error_ = std::strerror(errno);
    return 0;
  }

  static size_t on_header(char* data, size_t, size_t n, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    std::string line(data, n);
    std::ranges::transform(line, line.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    unsigned long long first = 0;
    if (std::sscanf(line.c_str(), "content-range: bytes %llu-", &first) == 1) transfer.range_start_ = first;
    return n;
  }

  static int on_progress(void* self, curl_off_t total, curl_off_t now, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (transfer.options_.progress && total > 0)
      transfer.options_.progress(transfer.file_.path, transfer.start_ + static_cast<uint64_t>(now),
                                 transfer.start_ + static_cast<uint64_t>(total));
    return transfer.cancelled() ? 1 : 0;
  }

  const RemoteFile& file_;
  fs::path part_;
  const DownloadOptions& options_;
  uint64_t start_;
  uint64_t range_start_ = UINT64_MAX;
  bool begun_ = false;
  bool wrong_range_ = false;
  std::string disk_error_;
  std::string reason_;
  std::unique_ptr<std::FILE, CloseFile> out_;
  CURL* curl_ = nullptr;
};

bool is_right(const RemoteFile& file, const fs::path& path) {
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return false;
  if (file.bytes != 0 && size_or_zero(path) != file.bytes) return false;
  return file.sha256.empty() || sha256_of_file(path) == file.sha256;
}

void expect_room(const RemoteFile& file, const fs::path& part) {
  std::error_code error;
  const auto room = fs::space(part.parent_path(), error).available;
  const uint64_t here = size_or_zero(part);
  if (!error && file.bytes > here && room < file.bytes - here)
    throw Error(ErrorCode::io, part.parent_path().string() + ": " + std::to_string(room >> 20) +
                                   " MiB are free, expected " + std::to_string((file.bytes - here) >> 20) +
                                   " MiB for " + file.path);
}

void fetch(const RemoteFile& file, const fs::path& part, const DownloadOptions& options) {
  auto wait = options.retry_wait;
  int failures = 0;
  while (file.bytes == 0 || size_or_zero(part) < file.bytes) {
    const uint64_t before = size_or_zero(part);
    std::string reason;
    {
      Transfer transfer(file, part, options);
      if (transfer.run() == Transfer::Outcome::complete) return;
      reason = transfer.reason();
    }
    if (size_or_zero(part) > before) {
      failures = 0;
      wait = options.retry_wait;
    }
    if (++failures > options.retries)
      throw Error(ErrorCode::network, options.base_url + "/" + file.path + ": gave up after " +
                                          std::to_string(failures) + " tries: " + reason +
                                          "; what was received is kept for the next call");
    std::this_thread::sleep_for(wait);
    wait *= 2;
  }
}

void expect_right(const RemoteFile& file, const fs::path& part) {
  const uint64_t bytes = size_or_zero(part);
  std::string wrong;
  if (file.bytes != 0 && bytes != file.bytes)
    wrong = std::to_string(bytes) + " bytes came, expected " + std::to_string(file.bytes);
  else if (const std::string found = file.sha256.empty() ? "" : sha256_of_file(part); found != file.sha256)
    wrong = "SHA-256 is " + found + ", expected " + file.sha256;
  if (wrong.empty()) return;
  std::error_code none;
  fs::remove(part, none);
  throw Error(ErrorCode::network, file.path + ": " + wrong + "; the file was removed");
}

}  // namespace

std::vector<RemoteFile> published_model() {
  const std::string tokenizer = "language_model/clip_tokenizer_4.16.2/";
  return {{"config.yaml"},
          {tokenizer + "vocab.json"},
          {tokenizer + "merges.txt"},
          {tokenizer + "tokenizer_config.json"},
          {tokenizer + "special_tokens_map.json"},
          {"vision_model/medimageinsigt-v1.0.0.pt", 2464060700,
           "5eeda63bf616a61664bc95b2c09d3b3d7125209e635678bd3f5f324e9bdb1414"}};
}

void download(const std::vector<RemoteFile>& files, const fs::path& folder, const DownloadOptions& options) {
  for (const RemoteFile& file : files) {
    const fs::path path = folder / file.path;
    if (is_right(file, path)) continue;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error)
      throw Error(ErrorCode::io, path.parent_path().string() + ": cannot be made: " + error.message());
    const fs::path part = part_of(path);
    expect_room(file, part);
    fetch(file, part, options);
    expect_right(file, part);
    rename_durably(part, path);
  }
}

}  // namespace mii
