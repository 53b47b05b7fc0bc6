#include "download/download.h"

#include "core/file.h"
#include "core/sha256.h"
#include "download/fetch.h"
#include "download/part_file.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

fs::path part_of(fs::path path) { return path += ".part"; }

uint64_t size_or_zero(const fs::path& path) {
  std::error_code none;
  const auto size = fs::file_size(path, none);
  return none ? 0 : size;
}

bool is_right(const RemoteFile& file, const fs::path& path, const DownloadOptions& options) {
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return false;
  if (file.bytes != 0 && size_or_zero(path) != file.bytes) return false;
  return file.sha256.empty() || sha256_of_file(path, options.cancelled) == file.sha256;
}

void expect_room(const RemoteFile& file, const fs::path& folder, uint64_t received) {
  std::error_code error;
  const auto room = fs::space(folder, error).available;
  const uint64_t missing = file.bytes > received ? file.bytes - received : 0;
  if (!error && room < missing)
    throw Error(ErrorCode::io, folder.string() + ": " + std::to_string(room >> 20) +
                                   " MiB are free, expected " + std::to_string(missing >> 20) + " MiB for " +
                                   file.path);
}

void expect_right(const RemoteFile& file, const fs::path& part, const DownloadOptions& options) {
  const uint64_t bytes = size_or_zero(part);
  std::string wrong;
  if (file.bytes != 0 && bytes != file.bytes)
    wrong = std::to_string(bytes) + " bytes came, expected " + std::to_string(file.bytes);
  else if (const std::string found = file.sha256.empty() ? "" : sha256_of_file(part, options.cancelled);
           found != file.sha256)
    wrong = "SHA-256 is " + found + ", expected " + file.sha256;
  if (wrong.empty()) return;
  std::error_code none;
  fs::remove(part, none);
  throw Error(ErrorCode::network, file.path + ": " + wrong + "; the file was removed");
}

void download_file(const RemoteFile& file, const fs::path& folder, const DownloadOptions& options) {
  const fs::path path = folder / file.path;
  if (is_right(file, path, options)) return;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) throw Error(ErrorCode::io, path.parent_path().string() + ": cannot be made: " + error.message());
  const fs::path part_path = part_of(path);
  {
    PartFile part = PartFile::open(part_path, file.bytes, options.range_bytes);
    expect_room(file, path.parent_path(), part.received());
    fetch(file, part, options);
    part.finish();
  }
  expect_right(file, part_path, options);
  rename_durably(part_path, path);
}

}  // namespace

std::string published_model_url(std::string_view endpoint) {
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  return std::string(endpoint.empty() ? "https://huggingface.co" : endpoint) +
         "/lion-ai/MedImageInsights/resolve/main/2024.09.27";
}

std::vector<RemoteFile> published_model() {
  const std::string tokenizer = "language_model/clip_tokenizer_4.16.2/";
  return {
      {"config.yaml", 4082, "fb1ef53988b0128b4ef5ad829862cc80347cc8f4b009cdc70d8534f797c2851c"},
      {tokenizer + "vocab.json", 1059961, "1cd0c84552bb5ac2d4ba3bc02da0a7c76da4b8cd4764e56a95b8ba6ef86b7a6c"},
      {tokenizer + "merges.txt", 524619, "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a"},
      {tokenizer + "tokenizer_config.json", 1221,
       "f86e4513fb56e2f3ae42681e61c13f228cb3b4778ebb8220449c10e1b44591b3"},
      {tokenizer + "special_tokens_map.json", 537,
       "b8f8d1bfbf8c250c8095f20b0ad2d4c535679b39a7753f3b77a67db098db9d9b"},
      {"vision_model/medimageinsigt-v1.0.0.pt", 2464060700,
       "5eeda63bf616a61664bc95b2c09d3b3d7125209e635678bd3f5f324e9bdb1414"}};
}

void download(const std::vector<RemoteFile>& files, const fs::path& folder, const DownloadOptions& options) {
  for (const RemoteFile& file : files) download_file(file, folder, options);
}

}  // namespace mii
