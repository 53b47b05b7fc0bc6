#include <cstdio>

#include "mii/engine.h"
#include "mii/error.h"
#include "mii/series.h"

int main(int argc, char** argv) {
  std::printf("%zu series\n", mii::find_series({}).series.size());
  try {
    const mii::Engine engine = mii::Engine::open(argc > 1 ? argv[1] : "/nonexistent");
    std::printf("%zu\n", engine.info().embedding_dim);
  } catch (const mii::Error& e) {
    std::printf("%s: %s\n", mii::to_string(e.code()), e.what());
  }
}
