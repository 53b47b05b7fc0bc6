#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "commands.h"
#include "download/download.h"
#include "interrupt.h"
#include "output.h"

namespace mii {
namespace {

constexpr size_t kMostConnections = 16;

std::string default_url() {
  const char* endpoint = std::getenv("HF_ENDPOINT");
  return published_model_url(endpoint == nullptr ? "" : endpoint);
}

void show(const std::string& path, uint64_t done, uint64_t total) {
  std::fprintf(stderr, "\r\x1b[K%s  %.1f of %.1f MB", path.c_str(), static_cast<double>(done) / 1e6,
               static_cast<double>(total) / 1e6);
}

}  // namespace

void add_pull(CLI::App& app, Command& chosen) {
  struct Flags {
    std::string out, url;
    size_t connections = DownloadOptions().connections;
    bool quiet = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "pull",
      "Download the published model (2.5 GB) from Hugging Face, or from the mirror that HF_ENDPOINT "
      "names; an interrupted download is resumed, every file's SHA-256 is checked");
  command->add_option("OUT", flags->out, "Folder to write")->required();
  command->add_option("--url", flags->url, "Where the folder is published, whatever HF_ENDPOINT says")
      ->type_name("URL");
  command->add_option("--connections", flags->connections, "Parts of a large file that are fetched at once")
      ->check(CLI::Range(size_t{1}, kMostConnections))
      ->capture_default_str();
  command->add_flag("--quiet", flags->quiet, "No progress");
  command->callback([flags, &chosen] {
    chosen = [flags] {
      DownloadOptions options{.base_url = flags->url.empty() ? default_url() : flags->url,
                              .connections = flags->connections,
                              .cancelled = interrupted};
      const bool shown = !flags->quiet && isatty(STDERR_FILENO) == 1;
      if (shown) options.progress = show;
      download(published_model(), flags->out, options);
      if (shown) std::fprintf(stderr, "\r\x1b[K");
      print_line(flags->out + ": complete, SHA-256 of every file is right");
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace mii
