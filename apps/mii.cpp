#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <sstream>

#include "commands.h"
#include "core/utf8.h"
#include "interrupt.h"
#include "mii/error.h"
#include "output.h"

namespace {

int exit_status(mii::ErrorCode code) {
  switch (code) {
    case mii::ErrorCode::invalid_argument:
      return mii::kUsage;
    case mii::ErrorCode::cancelled:
      return mii::kInterrupted;
    default:
      return mii::kFailed;
  }
}

// Help and version, or what is wrong with the arguments.
int answer(const CLI::App& app, const CLI::ParseError& e) {
  std::ostringstream out, err;
  const bool wrong = app.exit(e, out, err) != 0;
  std::fputs(mii::printable_lines(err.str()).c_str(), stderr);
  std::fputs(mii::printable_lines(out.str()).c_str(), stdout);
  try {
    mii::expect_printed();
  } catch (const mii::Error& error) {
    mii::say(error.what());
    return mii::kFailed;
  }
  return wrong ? mii::kUsage : mii::kOk;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Medical-image embeddings with MedImageInsight. For research; not a medical device.", "mii");
  app.set_version_flag("--version", "mii " MII_VERSION " (" MII_COMMIT ")");
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done; 1 failed; 2 wrong usage; 3 done, but some inputs failed; 130 interrupted.");
  mii::Command chosen;
  mii::add_classify(app, chosen);
  mii::add_explain(app, chosen);
  mii::add_labels(app, chosen);
  mii::add_embed(app, chosen);
  mii::add_inspect(app, chosen);
  mii::add_info(app, chosen);
  mii::add_compare(app, chosen);
  mii::add_convert(app, chosen);
  mii::add_export(app, chosen);
  mii::add_pull(app, chosen);
  mii::add_verify(app, chosen);
  mii::add_serve(app, chosen);
  mii::add_collection(app, chosen);
  mii::add_search(app, chosen);
  mii::add_draft(app, chosen);
  mii::add_report(app, chosen);
  mii::add_duplicates(app, chosen);
  mii::add_bench(app, chosen);
  mii::add_fit(app, chosen);
  mii::add_head(app, chosen);
  mii::add_eval(app, chosen);
  mii::add_pack(app, chosen);
  mii::add_train(app, chosen);
  std::signal(SIGPIPE, SIG_DFL);  // `| head` ends the program without a word, whoever started it
  mii::write_line_by_line();
  try {
    app.parse(argc, argv);
    mii::catch_interrupts();
    const int status = chosen();
    mii::expect_printed();
    return status;
  } catch (const CLI::ParseError& e) {
    return answer(app, e);
  } catch (const mii::Error& e) {
    mii::say(e.what());
    return exit_status(e.code());
  } catch (const std::bad_alloc&) {
    mii::say("out of memory");
  } catch (const std::exception& e) {
    mii::say(e.what());
  }
  return mii::kFailed;
}
