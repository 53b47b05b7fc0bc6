#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mii {

inline constexpr const char* kPublishedModelUrl =
    "https://huggingface.co/lion-ai/MedImageInsights/resolve/main/2024.09.27";

struct RemoteFile {
  std::string path;    ///< below the base URL and below the folder
  uint64_t bytes = 0;  ///< 0: unknown
  std::string sha256;  ///< in hexadecimal digits; empty: unknown
};

/// The files of the published model.
std::vector<RemoteFile> published_model();

struct DownloadOptions {
  std::string base_url = kPublishedModelUrl;
  int retries = 5;                             ///< attempts in a row that bring no new byte
  std::chrono::milliseconds retry_wait{1000};  ///< before the first retry; doubled each time
  /// Called now and then with the bytes of the file received so far and in total (0: unknown).
  std::function<void(const std::string& path, uint64_t done, uint64_t total)> progress;
  std::function<bool()> cancelled;  ///< true: stop, and keep what was received for the next call
};

/// Downloads the files into the folder, one after the other. A file already there with the right size and
/// SHA-256 is left alone; an interrupted download (NAME.part) is resumed. A file gets its name only when it
/// is complete and its SHA-256 is right. Throws Error{network} when the server refuses, the connection breaks
/// too often, or the bytes are not the expected ones (they are removed); Error{io} when the folder cannot be
/// written; Error{cancelled}.
void download(const std::vector<RemoteFile>& files, const std::filesystem::path& folder,
              const DownloadOptions& options);

}  // namespace mii
