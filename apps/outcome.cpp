#include "outcome.h"

#include "commands.h"
#include "interrupt.h"
#include "output.h"

namespace mii {

pipeline::ReadOptions read_options(Progress& progress) {
  return {.progress = [&progress](size_t n) { progress.advance(n); }, .cancelled = interrupted};
}

int report(const std::vector<pipeline::Failure>& failures) {
  for (const pipeline::Failure& f : failures)
    say(f.reason.starts_with(f.input) ? f.reason : f.input + ": " + f.reason);
  if (interrupted()) return kInterrupted;
  if (failures.empty()) return kOk;
  say(std::to_string(failures.size()) + (failures.size() == 1 ? " input failed" : " inputs failed"));
  return kSomeInputsFailed;
}

}  // namespace mii
