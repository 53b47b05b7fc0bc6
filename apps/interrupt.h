#pragma once

namespace mii {

/// From now on Ctrl-C (and SIGTERM) asks long work to stop; the second one ends the program at once.
void catch_interrupts();

bool interrupted();

}  // namespace mii
