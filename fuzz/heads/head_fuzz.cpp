#include <span>

#include "heads/head_file.h"
#include "mii/error.h"

// A head file, read, shown and asked.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const mii::heads::FittedHead head = mii::heads::parse_head(std::as_bytes(std::span(data, size)), "f");
    mii::heads::head_json(head.parts());
    mii::heads::head_card(head.parts());
    if (head.dim() > 4096) return 0;
    const mii::Matrix answers = head.score(mii::Matrix(2, head.dim()));
    for (size_t k = 0; k < answers.cols(); ++k) head.band(k, answers.row(0)[k]);
  } catch (const mii::Error&) {
  }
  return 0;
}
