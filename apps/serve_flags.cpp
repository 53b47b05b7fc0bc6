#include "serve_flags.h"

#include <sstream>

#include "core/file.h"

namespace mii {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Adds options with their group, default and environment variable.
class Adder {
 public:
  Adder(CLI::App& command, const char* group) : command_(command), group_(group) {}

  template <typename T>
  CLI::Option* add(const std::string& name, T& value, const std::string& help) {
    return command_.add_option("--" + name, value, help)->capture_default_str()->group(group_);
  }
  void add_seconds(const std::string& name, serve::Seconds& value, const std::string& help) {
    add_scaled(name, value, 1, help + ", seconds");
  }
  void add_scaled(const std::string& name, serve::Seconds& value, double unit, const std::string& help) {
    std::ostringstream standard;
    standard << value.count() / unit;
    command_
        .add_option_function<double>(
            "--" + name, [&value, unit](const double& number) { value = serve::Seconds(number * unit); },
            help)
        ->check(CLI::Range(0.0, 1e7))
        ->default_str(standard.str())
        ->group(group_);
  }
  void add_mebibytes(const std::string& name, uint64_t& value, const std::string& help) {
    command_
        .add_option_function<uint64_t>(
            "--" + name, [&value](const uint64_t& number) { value = number << 20; }, help + ", MiB")
        ->check(CLI::Range(1, 1 << 20))
        ->default_str(std::to_string(value >> 20))
        ->group(group_);
  }

 private:
  CLI::App& command_;
  std::string group_;
};

std::string environment_name(const std::string& option) {
  std::string name = "MII_SERVE_" + option;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

void ServeFlags::add_to(CLI::App& command) {
  Adder network(command, "Network");
  network.add("host", options.host, "Address to listen on");
  network.add("port", options.port, "0: any free one");
  network.add("keys", options.keys_file,
              "File of bearer keys: a SHA-256 in hexadecimal a line; read again on SIGHUP");
  network.add("tls-certificate", options.tls_certificate, "Certificate chain, PEM; read again on SIGHUP");
  network.add("tls-key", options.tls_key, "Its private key, PEM");
  network.add("cors-origin", options.cors_origins, "Origins whose pages may call, * for all [none]");

  Adder work(command, "Work");
  work.add("model-name", options.model_name, "The model's name in /v1");
  work.add("max-batch", options.batching.max_batch, "Images of one batch; 0: the engine's own number");
  work.add_scaled("batch-wait-ms", options.batching.wait, 1e-3,
                  "Longest wait for images that are still being decoded");
  work.add("queue", options.batching.queue_images, "Images taken and not yet answered; beyond: 429");
  work.add("queue-texts", options.batching.queue_texts, "The same for labels and texts");
  work.add("decode-threads", options.batching.decode_threads, "0: one for each core")
      ->check(CLI::Range(0, 1024));
  command
      .add_option_function<std::string>(
          "--profile", [this](const std::string& name) { options.profile = Profile::parse(name); },
          "How DICOM and NIfTI become grey; see mii classify --help")
      ->default_str(options.profile.name)
      ->group("Work");
  work.add_seconds("deadline", options.deadline, "For a request without X-Request-Timeout; 0: none");
  work.add_seconds("drain", options.drain, "What SIGTERM leaves to requests under way");
  work.add_seconds("watchdog-interval", options.watchdog_interval, "An idle engine is asked this often");
  work.add_seconds("stuck-after", options.stuck_after, "A computation this long makes /health fail");

  Adder limits(command, "Limits");
  limits.add_mebibytes("max-body-mb", options.limits.body_bytes, "Of one request");
  limits.add_mebibytes("max-bodies-mb", options.limits.bodies_bytes,
                       "Of all requests being received or computed");
  limits.add("max-header-bytes", options.limits.header_bytes, "Request line and headers")
      ->check(CLI::Range(256, 1 << 20));
  limits.add("max-images", options.limits.images, "Of one request");
  limits.add("max-labels", options.limits.texts, "Labels or texts of one request");
  limits.add("max-text-bytes", options.limits.text_bytes, "Of one label or text")
      ->check(CLI::Range(1, 1 << 20));
  limits.add("max-json-depth", options.limits.json_depth, "Lists and objects in each other")
      ->check(CLI::Range(4, 256));
  limits.add("max-connections", options.limits.connections, "Open at once");
  limits.add("max-pixels", options.limits.image_pixels, "Width times height of one picture");
  limits.add("max-volume-bytes", options.limits.volume_bytes, "Of a NIfTI volume, inflated");
  limits.add_seconds("header-timeout", options.limits.header_time, "For the head of a request");
  limits.add_seconds("read-timeout", options.limits.body_time, "For its body");
  limits.add_seconds("write-timeout", options.limits.write_time, "For its answer");
  limits.add_seconds("idle-timeout", options.limits.idle_time, "Between requests");

  Adder files(command, "Files");
  files.add("config", config, "File of 'option = value' lines, names as here without --");
  files.add("log", log_file, "File that JSON lines are appended to [stderr]");
  files.add("docs-folder", options.docs_folder,
            "Scripts of /docs and /redoc, from scripts/fetch-docs-assets");
  model.add_to(command);

  for (CLI::Option* option : command.get_options())
    if (option->get_envname().empty() && !option->get_lnames().empty() && option->get_lnames()[0] != "help")
      option->envname(environment_name(option->get_lnames()[0]));
}

void ServeFlags::read_config(CLI::App& command) {
  if (config.empty()) return;
  std::istringstream lines(read_text_file(config, kMaxConfigBytes));
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::string where = config;
    where.append(": line ").append(std::to_string(number));
    const size_t equals = line.find('=');
    if (equals == std::string::npos)
      throw CLI::ConversionError(where + ": expected 'option = value'", "--config");
    const std::string name = trimmed(line.substr(0, equals)), value = trimmed(line.substr(equals + 1));
    CLI::Option* option = command.get_option_no_throw("--" + name);
    if (option == nullptr || name == "config" || name == "help")
      throw CLI::ConversionError(where.append(": there is no option '").append(name).append("'"), "--config");
    if (option->count() > 0) continue;
    option->add_result(value);
    option->run_callback();
  }
}

}  // namespace mii
