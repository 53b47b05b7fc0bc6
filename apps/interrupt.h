#pragma once

namespace mii {

/// From now on Ctrl-C (and SIGTERM) asks long work to stop. A program that has not ended 1.5 s later,
/// whatever it is doing, is ended with status 130: results are to be flushed as they come.
void catch_interrupts();

bool interrupted();

}  // namespace mii
