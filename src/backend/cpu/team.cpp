#include "backend/cpu/team.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <thread>

namespace mii {

int team_size(int wanted) {
#ifdef _OPENMP
  return std::min(wanted == 0 ? omp_get_num_procs() : wanted, omp_get_thread_limit());
#else
  return wanted == 0 ? std::max(1, static_cast<int>(std::thread::hardware_concurrency())) : wanted;
#endif
}

void set_team([[maybe_unused]] int threads) {
#ifdef _OPENMP
  // The work is cut for a team of this size: a smaller team would leave parts of it undone.
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
#endif
}

#ifdef _OPENMP
TeamOfOne::TeamOfOne() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
TeamOfOne::~TeamOfOne() { omp_set_num_threads(threads_); }
#else
TeamOfOne::TeamOfOne() : threads_(1) {}
TeamOfOne::~TeamOfOne() = default;
#endif

}  // namespace mii
