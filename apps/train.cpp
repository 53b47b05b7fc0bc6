#include "commands.h"
#include "mii/error.h"
#include "pack.h"
#include "train_report.h"
#include "trainer.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

struct Flags {
  PackFlags pack_flags;
  std::filesystem::path pack;
  std::filesystem::path out;
  std::string objective = "unicl";
  ReportObjectiveFlags report;
  std::string trained = "all";
  std::string optimizer = "auto";
  std::string device = "auto";
  bool resume = false;
  bool calibrate = false;
  std::vector<std::pair<std::string, std::shared_ptr<std::string>>> numbers;  // passed on as they are
};

// Options that mean something with one objective alone are in a group of this name.
std::string group_of(const std::string& objective) { return "--objective " + objective; }

constexpr const char* kUniclOptions[] = {
    "--pack",      "--train",           "--optimizer",    "--calibrate", "--captions",     "--config",
    "--tokenizer", "--trim-vocabulary", "--max-captions", "--margin",    "--quality",      "--drop-path",
    "--balance",   "--label-weight",    "--class-weight", "--start",     "--augmentation", "--end",
    "--loaders",   "--validate-every"};

void expect_of_objective(const CLI::App& command, const std::string& objective) {
  for (const std::string other : {"unicl", "report"})
    for (const CLI::Option* option : command.get_options())
      if (other != objective && option->get_group() == group_of(other) && option->count() > 0)
        throw Error(ErrorCode::invalid_argument,
                    option->get_name() + " means nothing with --objective " + objective);
}

int train_report(const Flags& flags) {
  if (flags.pack_flags.pack.manifest.empty())
    throw Error(ErrorCode::invalid_argument, "--objective report needs --manifest");
  ReportTrainingRun run{.manifest = flags.pack_flags.pack.manifest,
                        .model = flags.pack_flags.pack.model,
                        .where = flags.pack_flags.pack.where,
                        .out = flags.out,
                        .resume = flags.resume,
                        .quiet = flags.pack_flags.quiet,
                        .arguments = {"--device", flags.device}};
  for (const auto& [name, value] : flags.numbers) {
    if (value->empty()) continue;
    run.arguments.insert(run.arguments.end(), {name, *value});
  }
  return train_report(flags.report, run);
}

int train(const Flags& flags) {
  if (flags.objective == "report") return train_report(flags);
  trainer_path();  // before anything is packed
  std::filesystem::path pack = flags.pack;
  if (pack.empty()) {
    if (flags.pack_flags.pack.manifest.empty())
      throw Error(ErrorCode::invalid_argument, "--manifest or --pack is needed");
    pack = flags.out / "pack";
    if (!flags.resume || !std::filesystem::exists(pack / "pack.safetensors")) {
      const int status = write_pack(flags.pack_flags, pack);
      if (status != kOk && status != kSomeInputsFailed) return status;
    }
  }
  std::vector<std::string> arguments{"--pack",   pack.string(), "--out",       flags.out.string(),
                                     "--train",  flags.trained, "--optimizer", flags.optimizer,
                                     "--device", flags.device};
  if (!flags.pack_flags.pack.model.empty()) {
    arguments.push_back("--start-weights");
    arguments.push_back(ModelFolder::find(flags.pack_flags.pack.model).weights.string());
  }
  for (const auto& [name, value] : flags.numbers) {
    if (value->empty()) continue;
    arguments.push_back(name);
    arguments.push_back(*value);
  }
  if (flags.resume) arguments.push_back("--resume");
  if (flags.calibrate) arguments.push_back("--calibrate");
  if (flags.pack_flags.quiet) arguments.push_back("--quiet");
  become_trainer(std::move(arguments));
}

}  // namespace

void add_train(CLI::App& app, Command& chosen) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("train", "Train or fine-tune a model on labelled images");
  command
      ->add_option("--manifest", flags->pack_flags.pack.manifest,
                   "Table of images (CSV or TSV); packed into OUT/pack first")
      ->check(CLI::ExistingFile);
  command->add_option("--pack", flags->pack, "A pack that `mii pack` made")
      ->check(CLI::ExistingDirectory)
      ->excludes("--manifest");
  command->add_option("-o,--out", flags->out, "Folder of the run: last/ and best/ are model folders")
      ->required();
  command
      ->add_option("--objective", flags->objective,
                   "unicl: the towers, on labels; report: a decoder that writes reports of --model's images, "
                   "whose towers stay as they are")
      ->check(CLI::IsMember({"unicl", "report"}))
      ->capture_default_str();
  command
      ->add_option("--train", flags->trained,
                   "Weights that learn: all, text (image tower frozen), projections")
      ->check(CLI::IsMember({"all", "text", "projections"}))
      ->capture_default_str();
  command
      ->add_option("--optimizer", flags->optimizer,
                   "Optimizer for matrices: muon, adamw, auto (muon from scratch, adamw with --model)")
      ->check(CLI::IsMember({"auto", "adamw", "muon"}))
      ->capture_default_str();
  command->add_option("--device", flags->device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command->add_flag("--resume", flags->resume, "Resume from the last checkpoint of OUT");
  command->add_flag("--calibrate", flags->calibrate,
                    "At the end, fit the temperature to single labels on augmented training images");
  const std::pair<const char*, const char*> numbers[] = {
      {"--epochs", "Passes over the images [12; report: 30]"},
      {"--batch", "Images per step [64; report: 16]"},
      {"--learning-rate", "Highest learning rate of AdamW; Muon's is 40 times it [0.0005]"},
      {"--weight-decay", "[0.05]"},
      {"--warm-up", "Share of the steps with a rising learning rate [0.05]"},
      {"--drop-path", "Highest rate of residual branches left out [0.05]"},
      {"--clip-norm", "Longest gradient [1]"},
      {"--average-decay", "Decay of the moving average of the weights [0.998]"},
      {"--balance", "Values of n images are drawn n^balance times, field by field [0.5]"},
      {"--label-weight", "Weight of telling the labels of each field apart; that of the captions is 1 [1]"},
      {"--class-weight",
       "Weight of the same with free vectors, instead of the labels' texts; the vectors are dropped at the "
       "end [1]"},
      {"--start", "Share of the side and of the augmentation to begin with; both grow to 1 [1]"},
      {"--augmentation",
       "How strong and how often images are changed, from 0 to 1; loss of colour is as frequent in any case "
       "[1]"},
      {"--end", "Share of --augmentation to end with; it falls to that step by step [1]"},
      {"--seed", "[1]"},
      {"--threads", "For arithmetic; 0: all cores [0]"},
      {"--loaders", "Threads that augment [1]"},
      {"--save-every", "Seconds between checkpoints [300]"},
      {"--validate-every", "Epochs between validations, after which last/ and best/ are written [1]"}};
  for (const auto& [name, text] : numbers) {
    flags->numbers.emplace_back(name, std::make_shared<std::string>());
    command->add_option(name, *flags->numbers.back().second, text)->check(CLI::Number);
  }
  add_pack_flags(*command, flags->pack_flags);
  command->add_flag("-q,--quiet", flags->pack_flags.quiet, "No progress");
  for (const char* name : kUniclOptions) command->get_option(name)->group(group_of("unicl"));
  flags->report.add_to(*command, group_of("report"));
  command->callback([&chosen, flags, command] {
    chosen = [flags, command] {
      expect_of_objective(*command, flags->objective);
      return train(*flags);
    };
  });
}

}  // namespace mii
