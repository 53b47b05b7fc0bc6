#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mii {

/// Where the published model is, below a server of Hugging Face's or a mirror of it (as HF_ENDPOINT names
/// one): https://huggingface.co/lion-ai/MedImageInsights/resolve/main/2024.09.27. endpoint: empty:
/// huggingface.co.
std::string published_model_url(std::string_view endpoint = {});

struct RemoteFile {
  std::string path;    ///< below the base URL and below the folder
  uint64_t bytes = 0;  ///< 0: unknown
  std::string sha256;  ///< in hexadecimal digits; empty: unknown
};

/// The files of the published model, each with its size and SHA-256.
std::vector<RemoteFile> published_model();

struct DownloadOptions {
  std::string base_url = published_model_url();
  size_t connections = 4;           ///< at once; a server that answers 429 or 503 gets fewer
  uint64_t range_bytes = 32 << 20;  ///< what one request asks for, of files whose size is known
  int retries = 5;                  ///< attempts in a row that bring no new byte
  /// Before the first retry; doubled each time. After 429 and 503 not before Retry-After.
  std::chrono::milliseconds retry_wait{1000};
  /// Called now and then with the bytes of the file received so far and in total (0: unknown).
  std::function<void(const std::string& path, uint64_t done, uint64_t total)> progress;
  std::function<bool()> cancelled;  ///< true: stop, and keep what was received for the next call
};

/// Downloads the files into the folder, one after the other, a large one in ranges that come at once. A file
/// already there with the right size and SHA-256 is left alone; an interrupted download (NAME.part) is
/// resumed, every range of it. A file gets its name only when it is complete and its SHA-256 is right. Throws
/// Error{network} when the server refuses, has a file of another size, asks to wait for more than ten
/// minutes, when the connection breaks too often, or the bytes are not the expected ones (they are removed);
/// Error{io} when the folder cannot be written; Error{cancelled}.
void download(const std::vector<RemoteFile>& files, const std::filesystem::path& folder,
              const DownloadOptions& options);

}  // namespace mii
