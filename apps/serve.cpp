#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>

#include "commands.h"
#include "mii/error.h"
#include "program_files.h"
#include "serve/server.h"
#include "serve_flags.h"

namespace mii {
namespace {

// Appends whole lines to a descriptor.
class LineFile {
 public:
  explicit LineFile(std::string path) : path_(std::move(path)) { reopen(); }
  ~LineFile() {
    if (descriptor_ != STDERR_FILENO) close(descriptor_);
  }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// Goes on in the file that now has the name, and makes it when there is none.
  void reopen() {
    if (path_.empty()) return;
    const int opened = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (opened < 0) throw Error(ErrorCode::io, path_ + ": cannot be opened: " + std::strerror(errno));
    if (descriptor_ != STDERR_FILENO) close(descriptor_);
    descriptor_ = opened;
  }

  bool write_line(std::string_view line) const {
    while (!line.empty()) {
      const ssize_t written = write(descriptor_, line.data(), line.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      line.remove_prefix(static_cast<size_t>(written));
    }
    return true;
  }

 private:
  const std::string path_;
  int descriptor_ = STDERR_FILENO;
};

// As many descriptors as the system allows, and no more connections than fit them.
void fit_connections(size_t& connections) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files);
  constexpr rlim_t kOtherFiles = 64;
  if (files.rlim_cur > kOtherFiles) connections = std::min<size_t>(connections, files.rlim_cur - kOtherFiles);
}

// OpenMP's threads spin for milliseconds while they wait for each other. When decoding or anything else runs
// at the same time, that makes a computation many times slower; where they sleep at once, a small model takes
// twice the time. So they spin for some 20 microseconds and sleep then. The library reads this before main(),
// so that the program starts itself once more.
void wait_with_little_spinning() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  setenv("GOMP_SPINCOUNT", "2000", 1);
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error && pointers.size() > 1) execv(program.c_str(), pointers.data());
  // When that fails, the service works all the same.
}

// A decoder that was asked for is opened now: one that does not fit is not to be found out by clients.
template <typename Warn>
std::unique_ptr<serve::EngineModel> open_model(ModelFlags flags, const std::vector<int>& devices,
                                               const Warn& warn) {
  std::vector<Engine> engines;
  for (const int device : devices) {
    flags.device = device;
    engines.push_back(flags.open(true, warn));
  }
  if (!flags.report_model.empty()) engines[0].report_model_info();
  return std::make_unique<serve::EngineModel>(std::move(engines));
}

int run_service(const ServeFlags& flags) {
  wait_with_little_spinning();
  serve::ServeOptions options = flags.options;
  if (options.tls_certificate.empty() != options.tls_key.empty())
    throw Error(ErrorCode::invalid_argument, "--tls-certificate and --tls-key go together");
  if (std::set(flags.devices.begin(), flags.devices.end()).size() < flags.devices.size())
    throw Error(ErrorCode::invalid_argument, "--devices names a device twice");
  if (options.docs_folder.empty()) options.docs_folder = program_file("docs", "build/docs-assets");
  fit_connections(options.limits.connections);
  std::signal(SIGPIPE, SIG_IGN);

  LineFile log(flags.log_file);
  serve::Server server(
      std::move(options), [&log](std::string_view line) { return log.write_line(line); },
      [&log] { log.reopen(); });
  ModelFlags model = flags.model;
  model.quiet = true;  // the log tells
  const auto warn = [&server](std::string_view sentence) { server.log_warning(sentence); };
  const bool finished =
      server.run([&] { return open_model(model, flags.devices, warn); }, {.handle_signals = true});
  // A computation that is stuck is not waited for.
  if (!finished) std::_Exit(kFailed);
  return kOk;
}

}  // namespace

void add_serve(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command =
      app.add_subcommand("serve",
                         "Answer HTTP requests: /predict, /encode, /explain, /draft, /report, "
                         "/v1/embeddings, /score, /collections, a page "
                         "at /, /docs");
  command->footer(
      "Every option is also an environment variable (in brackets) and a line of the --config file. A flag "
      "goes before\n"
      "the environment, the environment before the file. SIGTERM finishes what was begun and stops, SIGHUP "
      "reads keys,\n"
      "heads, collections and certificate again and opens the log anew. docs/service.md describes the "
      "routes.");
  flags->add_to(*command);
  command->callback([flags, command, &chosen] {
    flags->read_config(*command);
    chosen = [flags] { return run_service(*flags); };
  });
}

}  // namespace mii
