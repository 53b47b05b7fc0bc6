#include <span>

#include "dataset/report_problem.h"
#include "mii/error.h"

// The file that a report decoder is trained on: the tokens of each text's image are read.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto view = mii::ReportProblemView::parse(std::as_bytes(std::span(data, size)), "f");
    const mii::ReportProblem& problem = view.problem();
    if (problem.texts.empty()) return 0;
    std::vector<float> tokens(static_cast<size_t>(problem.image_tokens * problem.config.image_dim));
    for (const mii::ReportText& text : problem.texts) view.read_tokens(text.image, tokens);
  } catch (const mii::Error&) {
  }
  return 0;
}
