#pragma once

#include <string>

// What people read. Names of files, labels and values of DICOM files come from anywhere: nothing in them
// reaches a terminal as a control character.

namespace mii {

/// Every line on the standard output is written out when it ends, so that a program that is stopped loses
/// none. To be called before the first one.
void write_line_by_line();

/// One line on the standard output; text for people.
void print_line(const std::string& line);

/// "mii: ..." on stderr, one line.
void say(const std::string& sentence);

/// Throws Error{io} when something that was printed could not be written: a full disk, say.
void expect_printed();

}  // namespace mii
