// Writes a model whose weights are a function of their names: for tests and demonstrations without a
// download.
#include <cstdio>
#include <exception>
#include <string_view>

#include "text/clip_tokenizer.h"
#include "weights/procedural.h"

int main(int argc, char** argv) {
  const bool outliers = argc == 5 && std::string_view(argv[4]) == "--outliers";
  if (argc != 4 && !outliers) {
    std::fprintf(stderr,
                 "usage: mii-procedural CONFIG_YAML TOKENIZER_FOLDER OUT_FOLDER [--outliers]\n"
                 "--outliers: a few channels of each layer norm are 32 times as large\n");
    return 2;
  }
  try {
    mii::write_procedural_model(argv[1], argv[2], mii::ClipTokenizer::load(argv[2]).vocabulary_size(),
                                argv[3], {.outliers = outliers});
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mii-procedural: %s\n", e.what());
    return 1;
  }
}
