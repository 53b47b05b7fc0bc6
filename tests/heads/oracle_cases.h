#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mii::heads {

/// How far an answer is from that of another program.
struct Difference {
  std::string what;  ///< the case and the figure
  double worst = 0;  ///< of all elements
  double allowed = 0;
};

/// Answers the cases of a file that sklearn_oracle.py wrote.
std::vector<Difference> differences_from_oracle(const std::filesystem::path& file);

}  // namespace mii::heads
