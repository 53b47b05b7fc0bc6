#pragma once

#include <CLI/CLI.hpp>

// Each adds its subcommand to the program. The exit statuses are those of `mii --help`.

namespace mii {

enum ExitStatus { kOk = 0, kFailed = 1, kUsage = 2, kSomeInputsFailed = 3, kInterrupted = 130 };

/// What a subcommand does, filled in by the one that was chosen.
using Command = std::function<int()>;

void add_classify(CLI::App& app, Command& chosen);
void add_explain(CLI::App& app, Command& chosen);
void add_embed(CLI::App& app, Command& chosen);
void add_labels(CLI::App& app, Command& chosen);
void add_info(CLI::App& app, Command& chosen);
void add_inspect(CLI::App& app, Command& chosen);
void add_compare(CLI::App& app, Command& chosen);
void add_convert(CLI::App& app, Command& chosen);
void add_export(CLI::App& app, Command& chosen);
void add_eval(CLI::App& app, Command& chosen);
void add_fit(CLI::App& app, Command& chosen);
void add_head(CLI::App& app, Command& chosen);
void add_pack(CLI::App& app, Command& chosen);
void add_train(CLI::App& app, Command& chosen);
void add_pull(CLI::App& app, Command& chosen);
void add_verify(CLI::App& app, Command& chosen);
void add_serve(CLI::App& app, Command& chosen);
void add_collection(CLI::App& app, Command& chosen);
void add_search(CLI::App& app, Command& chosen);
void add_draft(CLI::App& app, Command& chosen);
void add_report(CLI::App& app, Command& chosen);
void add_duplicates(CLI::App& app, Command& chosen);
void add_bench(CLI::App& app, Command& chosen);

}  // namespace mii
