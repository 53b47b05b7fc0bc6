// The trainer: a program of its own because LibTorch is its only dependency besides a JPEG decoder. `mii
// train` checks the flags and starts it.
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "core/utf8.h"
#include "mii/error.h"
#include "train/head.h"
#include "train/report.h"
#include "train/trainer.h"

namespace {

volatile std::sig_atomic_t g_stop = 0;
void ask_to_stop(int) { g_stop = 1; }

constexpr const char* kUsage =
    "usage: mii-train --pack FOLDER --out FOLDER [--name value]...        (see mii train --help)\n"
    "       mii-train head --problem FILE --out FILE [--name value]...    (see mii fit --help)\n"
    "       mii-train report --problem FILE --out FOLDER [--name value]...    (see mii train --help)\n";

double number(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0')
    throw mii::Error(mii::ErrorCode::invalid_argument, name + ": '" + text + "' is not a number");
  return value;
}

mii::Trained trained(const std::string& text) {
  if (text == "all") return mii::Trained::all;
  if (text == "text") return mii::Trained::text_tower;
  if (text == "projections") return mii::Trained::projections;
  throw mii::Error(mii::ErrorCode::invalid_argument,
                   "--train: '" + text + "' is none of all, text, projections");
}

mii::Optimizer optimizer(const std::string& text) {
  if (text == "auto") return mii::Optimizer::automatic;
  if (text == "adamw") return mii::Optimizer::adamw;
  if (text == "muon") return mii::Optimizer::muon;
  throw mii::Error(mii::ErrorCode::invalid_argument,
                   "--optimizer: '" + text + "' is none of auto, adamw, muon");
}

using Set = std::function<void(const std::string&)>;

Set real(const char* name, double& to) {
  return [=, &to](const std::string& v) { to = number(name, v); };
}

template <typename T>
Set whole(const char* name, T& to) {
  return [=, &to](const std::string& v) { to = static_cast<T>(number(name, v)); };
}

// The arguments from `first` on: switches, and names with a value.
void read_arguments(int first, int argc, char** argv, const std::map<std::string, Set>& known,
                    const std::map<std::string, bool*>& switches) {
  for (int i = first; i < argc; ++i) {
    const std::string name = argv[i];
    if (const auto found = switches.find(name); found != switches.end()) {
      *found->second = true;
      continue;
    }
    const auto found = known.find(name);
    if (found == known.end())
      throw mii::Error(mii::ErrorCode::invalid_argument, "unknown option '" + name + "'");
    if (i + 1 == argc) throw mii::Error(mii::ErrorCode::invalid_argument, name + " needs a value");
    found->second(argv[++i]);
  }
}

mii::HeadTraining parse_head(int argc, char** argv) {
  mii::HeadTraining options;
  read_arguments(2, argc, argv,
                 {{"--problem", [&](const std::string& v) { options.problem = v; }},
                  {"--out", [&](const std::string& v) { options.out = v; }},
                  {"--hidden", whole("--hidden", options.hidden)},
                  {"--epochs", whole("--epochs", options.epochs)},
                  {"--learning-rate", real("--learning-rate", options.learning_rate)},
                  {"--weight-decay", real("--weight-decay", options.weight_decay)},
                  {"--seed", whole("--seed", options.seed)}},
                 {{"--quiet", &options.quiet}});
  if (options.problem.empty() || options.out.empty() || options.hidden < 1 || options.epochs < 1)
    throw mii::Error(mii::ErrorCode::invalid_argument,
                     "--problem and --out are needed, --hidden and --epochs at least 1");
  return options;
}

mii::ReportTraining parse_report(int argc, char** argv) {
  mii::ReportTraining options;
  read_arguments(2, argc, argv,
                 {{"--problem", [&](const std::string& v) { options.problem = v; }},
                  {"--out", [&](const std::string& v) { options.out = v; }},
                  {"--text-tower", [&](const std::string& v) { options.text_tower = v; }},
                  {"--device", [&](const std::string& v) { options.device = v; }},
                  {"--epochs", whole("--epochs", options.epochs)},
                  {"--batch", whole("--batch", options.batch)},
                  {"--learning-rate", real("--learning-rate", options.learning_rate)},
                  {"--weight-decay", real("--weight-decay", options.weight_decay)},
                  {"--warm-up", real("--warm-up", options.warm_up)},
                  {"--clip-norm", real("--clip-norm", options.clip_norm)},
                  {"--average-decay", real("--average-decay", options.average_decay)},
                  {"--label-smoothing", real("--label-smoothing", options.label_smoothing)},
                  {"--dropout", real("--dropout", options.dropout)},
                  {"--seed", whole("--seed", options.seed)},
                  {"--threads", whole("--threads", options.threads)},
                  {"--save-every", real("--save-every", options.save_every_s)}},
                 {{"--resume", &options.resume}, {"--quiet", &options.quiet}});
  if (options.problem.empty() || options.out.empty() || options.epochs < 1 || options.batch < 1)
    throw mii::Error(mii::ErrorCode::invalid_argument,
                     "--problem and --out are needed, --epochs and --batch at least 1");
  if (!(options.dropout >= 0 && options.dropout < 1) ||
      !(options.label_smoothing >= 0 && options.label_smoothing < 1))
    throw mii::Error(mii::ErrorCode::invalid_argument,
                     "--dropout and --label-smoothing are from 0 to below 1");
  return options;
}

mii::TrainOptions parse(int argc, char** argv) {
  mii::TrainOptions options;
  const std::map<std::string, Set> known{
      {"--pack", [&](const std::string& v) { options.pack = v; }},
      {"--out", [&](const std::string& v) { options.out = v; }},
      {"--start-weights", [&](const std::string& v) { options.start_weights = v; }},
      {"--train", [&](const std::string& v) { options.trained = trained(v); }},
      {"--optimizer", [&](const std::string& v) { options.optimizer = optimizer(v); }},
      {"--device", [&](const std::string& v) { options.device = v; }},
      {"--epochs", whole("--epochs", options.epochs)},
      {"--batch", whole("--batch", options.batch)},
      {"--learning-rate", real("--learning-rate", options.learning_rate)},
      {"--weight-decay", real("--weight-decay", options.weight_decay)},
      {"--warm-up", real("--warm-up", options.warm_up)},
      {"--drop-path", real("--drop-path", options.drop_path)},
      {"--clip-norm", real("--clip-norm", options.clip_norm)},
      {"--average-decay", real("--average-decay", options.average_decay)},
      {"--balance", real("--balance", options.balance)},
      {"--label-weight", real("--label-weight", options.label_weight)},
      {"--class-weight", real("--class-weight", options.class_weight)},
      {"--start", real("--start", options.start)},
      {"--augmentation", real("--augmentation", options.augmentation)},
      {"--end", real("--end", options.end)},
      {"--seed", whole("--seed", options.seed)},
      {"--threads", whole("--threads", options.threads)},
      {"--loaders", whole("--loaders", options.loaders)},
      {"--save-every", real("--save-every", options.save_every_s)},
      {"--validate-every", whole("--validate-every", options.validate_every)}};
  read_arguments(
      1, argc, argv, known,
      {{"--resume", &options.resume}, {"--calibrate", &options.calibrate}, {"--quiet", &options.quiet}});
  if (options.pack.empty() || options.out.empty())
    throw mii::Error(mii::ErrorCode::invalid_argument, "--pack and --out are needed");
  if (options.epochs < 1 || options.validate_every < 1 || options.batch < 2)
    throw mii::Error(mii::ErrorCode::invalid_argument,
                     "--epochs and --validate-every must be at least 1, --batch at least 2");
  if (!(options.start > 0 && options.start <= 1))
    throw mii::Error(mii::ErrorCode::invalid_argument, "--start must be above 0 and at most 1");
  if (!(options.augmentation >= 0 && options.augmentation <= 1))
    throw mii::Error(mii::ErrorCode::invalid_argument, "--augmentation must be from 0 to 1");
  if (!(options.end >= 0 && options.end <= 1))
    throw mii::Error(mii::ErrorCode::invalid_argument, "--end must be from 0 to 1");
  return options;
}

// The trainer splits its work among threads itself; LibTorch, its BLAS and oneDNN are to stay on the thread
// that calls them. They read this before main() begins, hence the second start.
void restart_with_settings(char** argv) {
  if (getenv("OMP_NUM_THREADS") != nullptr && getenv("OPENBLAS_NUM_THREADS") != nullptr) return;
  setenv("OMP_NUM_THREADS", "1", 1);
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    setenv("ATEN_CPU_CAPABILITY", "avx512", 0);  // else AVX2 is its choice
#endif
  char self[4096] = {};  // the path itself, so that the program keeps its name in lists of processes
  if (readlink("/proc/self/exe", self, sizeof(self) - 1) > 0)
    execv(self, argv);  // where it fails, training is only slower
}

// Tensors of a few megabytes come and go by the thousand: memory returned to the system in between is cleared
// again each time, which takes a sixth of a step.
void keep_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
  mallopt(M_ARENA_MAX, 1);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  restart_with_settings(argv);
  keep_memory();
  try {
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
    const auto stop = [] { return g_stop != 0; };
    if (argc > 1 && argv[1] == std::string("head"))
      return mii::train_head(parse_head(argc, argv), stop) ? 0 : 130;
    const bool report = argc > 1 && argv[1] == std::string("report");
    if (report ? mii::train_report(parse_report(argc, argv), stop) : mii::train(parse(argc, argv), stop))
      return 0;
    std::fprintf(stderr, "mii-train: stopped; continue with --resume\n");
    return 130;
  } catch (const mii::Error& error) {
    std::fprintf(stderr, "mii-train: %s\n", mii::printable(error.what()).c_str());
    if (error.code() != mii::ErrorCode::invalid_argument) return 1;
    std::fputs(kUsage, stderr);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mii-train: %s\n", mii::printable(error.what()).c_str());
    return 1;
  }
}
