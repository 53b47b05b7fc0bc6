#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace mii {

inline std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct Result {
  int status;
  std::string out;
  std::string err;
};

/// Runs a line of shell commands; what it prints goes through files in this folder.
inline Result run_shell(const std::string& commands, const std::filesystem::path& folder) {
  const std::string out = folder / "out", err = folder / "err";
  const int status = std::system(("{ " + commands + "; } >" + out + " 2>" + err).c_str());
  return {WEXITSTATUS(status), text_of(out), text_of(err)};
}

/// Runs mii.
inline Result run_program(const std::string& arguments, const std::filesystem::path& folder) {
  return run_shell(MII_PROGRAM " " + arguments, folder);
}

}  // namespace mii
