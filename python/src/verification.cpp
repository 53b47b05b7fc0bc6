#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "download/verify.h"
#include "eval/published_examples.h"
#include "guarded_engine.h"
#include "inputs.h"
#include "interrupts.h"
#include "mii/error.h"

namespace mii::python {
namespace {

// [(path, state, sha256, expected)]
nb::list files(const std::filesystem::path& folder) {
  Interrupts interrupts(nb::none(), 0);
  std::vector<VerifiedFile> found;
  try {
    const nb::gil_scoped_release released;
    found = verify_files(folder, interrupts.asked());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::cancelled) throw;
  }
  interrupts.rethrow();
  nb::list list;
  for (const VerifiedFile& file : found)
    list.append(nb::make_tuple(file.path, to_string(file.state), file.sha256, file.expected));
  return list;
}

// (labels, probabilities, published probability, whether it agrees)
nb::tuple example(const GuardedEngine& guarded, const std::string& name, const nb::list& list) {
  const auto engine = guarded.get();
  const PublishedExample& example = find_published_example(name);
  const GivenImages given(list, {});
  ExampleScores scores;
  {
    const nb::gil_scoped_release released;
    scores = score_published_example(*engine, example, given.image(0));
  }
  return nb::make_tuple(scores.labels, scores.probabilities, example.probability, scores.agrees);
}

}  // namespace

void bind_verification(nb::module_& module) {
  module.def("verify_files", &files, nb::arg("folder"));
  module.def("verify_example", &example, nb::arg("engine"), nb::arg("name"), nb::arg("images"));
}

}  // namespace mii::python
