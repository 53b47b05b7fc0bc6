#include "output.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/utf8.h"
#include "mii/error.h"

namespace mii {

void write_line_by_line() {
  static char buffer[1 << 16];
  std::setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
}

void print_line(const std::string& line) { std::printf("%s\n", printable(line).c_str()); }

void say(const std::string& sentence) { std::fprintf(stderr, "mii: %s\n", printable(sentence).c_str()); }

void expect_printed() {
  const bool failed_before = std::ferror(stdout) != 0;  // its reason is lost
  const bool failed = std::fflush(stdout) != 0;
  if (failed_before || failed)
    throw Error(ErrorCode::io, std::string("the standard output cannot be written") +
                                   (failed ? std::string(": ") + std::strerror(errno) : ""));
}

}  // namespace mii
