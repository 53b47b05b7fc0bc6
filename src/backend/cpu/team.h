#pragma once

namespace mii {

/// Threads of a computation: as many as wanted, or with 0 every core that this process may run on; fewer
/// where OMP_THREAD_LIMIT asks for it.
int team_size(int wanted);

/// Gives the calling thread an OpenMP team of this size.
void set_team(int threads);

}  // namespace mii
