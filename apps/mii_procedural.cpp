// Writes a model whose weights are a function of their names: for tests and demonstrations without a
// download.
#include <cstdio>
#include <exception>

#include "text/clip_tokenizer.h"
#include "weights/procedural.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: mii-procedural CONFIG_YAML TOKENIZER_FOLDER OUT_FOLDER\n");
    return 2;
  }
  try {
    mii::write_procedural_model(argv[1], argv[2], mii::ClipTokenizer::load(argv[2]).vocabulary_size(),
                                argv[3]);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mii-procedural: %s\n", e.what());
    return 1;
  }
}
