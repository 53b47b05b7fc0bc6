// oracle_probe FILE: answers the cases of sklearn_oracle.py and prints how far it is from them; 1 where too
// far.
#include <cstdio>

#include "heads/oracle_cases.h"

int main(int /*argc*/, char** argv) {
  int status = 0;
  for (const mii::heads::Difference& d : mii::heads::differences_from_oracle(argv[1])) {
    const bool good = d.worst <= d.allowed;
    std::printf("%s %-40s %.2g of %.2g\n", good ? "good" : "FAR ", d.what.c_str(), d.worst, d.allowed);
    if (!good) status = 1;
  }
  return status;
}
