#include <cstdio>
#include <exception>
#include <new>

#include "commands.h"
#include "interrupt.h"
#include "mii/error.h"

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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Medical-image embeddings with MedImageInsight. For research; not a medical device.", "mii");
  app.set_version_flag("--version", "mii " MII_VERSION " (" MII_COMMIT ")");
  app.require_subcommand(1);
  app.footer(
      "Exit status: 0 done; 1 failed; 2 wrong usage; 3 done, but some inputs failed; 130 interrupted.");
  mii::Command chosen;
  mii::add_classify(app, chosen);
  mii::add_embed(app, chosen);
  mii::add_inspect(app, chosen);
  mii::add_info(app, chosen);
  mii::add_convert(app, chosen);
#ifdef MII_WITH_DOWNLOAD
  mii::add_pull(app, chosen);
#endif
  mii::add_serve(app, chosen);
  mii::add_bench(app, chosen);
  mii::add_eval(app, chosen);
  mii::add_pack(app, chosen);
  mii::add_train(app, chosen);
  try {
    app.parse(argc, argv);
    mii::catch_interrupts();
    return chosen();
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? mii::kOk : mii::kUsage;
  } catch (const mii::Error& e) {
    std::fprintf(stderr, "mii: %s\n", e.what());
    return exit_status(e.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "mii: out of memory\n");
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mii: %s\n", e.what());
  }
  return mii::kFailed;
}
