#include "serve_flags.h"

#include <charconv>
#include <set>
#include <sstream>

#include "core/file.h"
#include "core/number_text.h"

namespace mii {
namespace {

constexpr uint64_t kMaxConfigBytes = 1 << 20;

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

template <typename T>
bool parses_as(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

CLI::Validator whole_number(uint64_t low, uint64_t high) {
  const std::string range = std::to_string(low) + " to " + std::to_string(high);
  return {[=](std::string& text) {
            uint64_t value = 0;
            if (parses_as(text, value) && value >= low && value <= high) return std::string();
            return "expected a whole number from " + range + ", found '" + text + "'";
          },
          range};
}

// NaN compares false with both ends.
CLI::Validator number(double low, double high) {
  const std::string range = number_text(low) + " to " + number_text(high);
  return {[=](std::string& text) {
            double value = 0;
            if (parses_as(text, value) && value >= low && value <= high) return std::string();
            return "expected a number from " + range + ", found '" + text + "'";
          },
          range};
}

constexpr uint64_t kMaxCount = 1'000'000;
constexpr double kMaxSeconds = 1e7;

// Adds options with their group, default and environment variable.
class Adder {
 public:
  Adder(CLI::App& command, const char* group) : command_(command), group_(group) {}

  template <typename T>
  CLI::Option* add(const std::string& name, T& value, const std::string& help) {
    return command_.add_option("--" + name, value, help)->capture_default_str()->group(group_);
  }
  template <typename T>
  void add_count(const std::string& name, T& value, std::pair<uint64_t, uint64_t> bounds,
                 const std::string& help) {
    add(name, value, help)->check(whole_number(bounds.first, bounds.second));
  }
  void add_seconds(const std::string& name, serve::Seconds& value, double low, const std::string& help) {
    add_scaled(name, value, 1, low, help + ", seconds");
  }
  void add_scaled(const std::string& name, serve::Seconds& value, double unit, double low,
                  const std::string& help) {
    std::ostringstream standard;
    standard << value.count() / unit;
    command_
        .add_option_function<double>(
            "--" + name, [&value, unit](const double& given) { value = serve::Seconds(given * unit); }, help)
        ->check(number(low, kMaxSeconds))
        ->default_str(standard.str())
        ->group(group_);
  }
  void add_mebibytes(const std::string& name, uint64_t& value, const std::string& help) {
    command_
        .add_option_function<uint64_t>(
            "--" + name, [&value](const uint64_t& given) { value = given << 20; }, help + ", MiB")
        ->check(whole_number(1, 1 << 20))
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
  network.add_count("port", options.port, {0, 65535}, "0: any free one");
  network.add("keys", options.keys_file,
              "File of bearer keys: a SHA-256 in hexadecimal a line, with scope=write behind it if the key "
              "may add and "
              "delete; read again on SIGHUP");
  network.add("tls-certificate", options.tls_certificate, "Certificate chain, PEM; read again on SIGHUP");
  network.add("tls-key", options.tls_key, "Its private key, PEM");
  network.add("cors-origin", options.cors_origins, "Origins whose pages may call, * for all [none]");
  network.add("allowed-host", options.allowed_hosts,
              "Name in a request's Host besides the service's own addresses; may be given several times. "
              "Without keys on loopback, and when it is given, other names are refused [none]");

  Adder work(command, "Work");
  work.add("model-name", options.model_name, "The model's name in /v1");
  work.add_count("max-batch", options.batching.max_batch, {0, 4096},
                 "Images of one batch; 0: the engine's own number");
  work.add_scaled("batch-wait-ms", options.batching.wait, 1e-3, 0,
                  "Longest wait for images that are still being decoded");
  work.add_count("queue", options.batching.queue_images, {1, kMaxCount},
                 "Images taken and not yet answered; beyond: 429");
  work.add_count("queue-texts", options.batching.queue_texts, {1, kMaxCount},
                 "The same for labels and texts");
  work.add("devices", devices, "Devices of the backend, as 0,1: each batch is computed by one of them")
      ->delimiter(',')
      ->check(whole_number(0, 1023))
      ->default_str("0");
  work.add_count("decode-threads", options.batching.decode_threads, {0, 1024}, "0: one for each core");
  command
      .add_option_function<std::string>(
          "--profile", [this](const std::string& name) { options.profile = Profile::parse(name); },
          "How DICOM and NIfTI become grey; see mii classify --help")
      ->default_str(options.profile.name)
      ->group("Work");
  work.add_seconds("deadline", options.deadline, 0, "For a request without X-Request-Timeout; 0: none");
  work.add_seconds("drain", options.drain, 0, "Time that SIGTERM leaves for requests under way");
  work.add_seconds("watchdog-interval", options.watchdog_interval, 0.1,
                   "The service sends itself a request this often");
  work.add_seconds("stuck-after", options.stuck_after, 0.1,
                   "A computation, or a worker's task, this long makes /health fail");

  Adder limits(command, "Limits");
  limits.add_mebibytes("max-body-mb", options.limits.body_bytes, "Of one request");
  limits.add_mebibytes("max-bodies-mb", options.limits.bodies_bytes,
                       "Of all requests being received or computed");
  limits.add_count("max-header-bytes", options.limits.header_bytes, {256, 1 << 20},
                   "Request line and headers");
  limits.add_count("max-images", options.limits.images, {1, kMaxCount}, "Of one request");
  limits.add_count("max-labels", options.limits.texts, {1, kMaxCount},
                   "Labels, texts or prompts of one request");
  limits.add_count("max-text-bytes", options.limits.text_bytes, {1, 1 << 20}, "Of one label or text");
  limits.add_count("max-json-depth", options.limits.json_depth, {4, 256},
                   "Nesting depth of lists and objects");
  limits.add_count("max-connections", options.limits.connections, {1, kMaxCount}, "Open at once");
  limits.add_count("max-connections-per-client", options.limits.client_connections, {0, kMaxCount},
                   "Of one address, or one /64 of IPv6; beyond: 429; 0: no bound");
  limits
      .add("rate", options.limits.client_rate,
           "Requests a second of one key, or of one address without a key; beyond: 429; 0: no bound")
      ->check(number(0, 1e6));
  limits.add("rate-burst", options.limits.client_burst, "Requests of a client that may come at once")
      ->check(number(1, 1e6));
  limits.add_count("max-pixels", options.limits.image_pixels, {1, 100'000'000'000},
                   "Width times height of one image");
  limits.add_count("max-volume-bytes", options.limits.volume_bytes, {1, 1ull << 40},
                   "Of a NIfTI volume, inflated");
  limits.add_seconds("header-timeout", options.limits.header_time, 0.001, "For the head of a request");
  limits.add_seconds("read-timeout", options.limits.body_time, 0.001, "For its body");
  limits.add_seconds("write-timeout", options.limits.write_time, 0.001, "For its answer");
  limits.add_seconds("idle-timeout", options.limits.idle_time, 0.001, "Between requests");

  Adder files(command, "Files");
  files.add("config", config, "File of 'option = value' lines, names as here without --");
  files.add("log", log_file, "File that JSON lines are appended to; opened anew on SIGHUP [stderr]");
  files.add("heads", options.heads_folder,
            "Folder of NAME.head files that mii fit wrote, for /predict with \"head\"; read again on SIGHUP");
  files.add("decoder", model.report_model,
            "Folder of a decoder for /report [report_model/ in the model's folder]");
  files.add("collections", options.collections_folder,
            "Folder of collections that mii collection made, for /collections; looked at again on SIGHUP");
  files
      .add("collection", options.databases,
           "[NAME=]postgresql://...: a database of mii collection, for /collections; NAME: as clients call "
           "it, "
           "else the database's; may be given several times. Passwords belong in ~/.pgpass [none]")
      ->expected(1)
      ->take_all();
  command
      .add_flag("--audit", options.audit,
                "Record searches in the collection's audit.sqlite, or table mii_audit")
      ->group("Files");
  files.add("docs-folder", options.docs_folder,
            "Scripts of /docs and /redoc, from scripts/fetch-docs-assets");
  model.add_to(command);

  for (CLI::Option* option : command.get_options())
    if (option->get_envname().empty() && !option->get_lnames().empty() && option->get_lnames()[0] != "help")
      option->envname(environment_name(option->get_lnames()[0]));
}

void ServeFlags::read_config(CLI::App& command) {
  if (config.empty()) return;
  std::set<const CLI::Option*> from_above;  // flag or environment
  for (const CLI::Option* option : command.get_options())
    if (option->count() > 0) from_above.insert(option);
  std::istringstream lines(read_text_file(config, kMaxConfigBytes));
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto wrong = [&](const std::string& what) {
      return CLI::ConversionError(config + ": line " + std::to_string(number) + ": " + what, "--config");
    };
    const size_t equals = line.find('=');
    if (equals == std::string::npos) throw wrong("expected 'option = value'");
    const std::string name = trimmed(line.substr(0, equals)), value = trimmed(line.substr(equals + 1));
    CLI::Option* option = command.get_option_no_throw("--" + name);
    if (option == nullptr || name == "config" || name == "help")
      throw wrong("there is no option '" + name + "'");
    if (from_above.contains(option)) continue;
    // A list grows with each of its lines.
    if (option->count() > 0 && option->get_items_expected_max() == 1)
      throw wrong("'" + name + "' is given twice");
    try {
      option->add_result(value);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      throw wrong(error.what());
    }
  }
}

}  // namespace mii
