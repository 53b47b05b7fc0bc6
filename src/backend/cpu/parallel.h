#pragma once

#include <algorithm>
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

// How the CPU backend cuts its work for the threads of one team.

namespace mii {

#ifdef _OPENMP
inline int max_threads() { return omp_get_max_threads(); }
inline int thread_index() { return omp_get_thread_num(); }
#else
inline int max_threads() { return 1; }
inline int thread_index() { return 0; }
#endif

/// Calls task(i) for i in [0, n) on all threads. Tasks write to places of their own, so the result does not
/// depend on which thread runs which task; they must not throw.
template <typename Task>
void parallel_for(int64_t n, const Task& task) {
#pragma omp parallel for schedule(dynamic, 1) if (n > 1)
  for (int64_t i = 0; i < n; ++i) task(i);
}

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// [0, n) in parts of about `size`.
struct Parts {
  int64_t n;
  int64_t size;

  int64_t count() const { return divide_up(n, size); }
  int64_t begin(int64_t i) const { return i * size; }
  int64_t length(int64_t i) const { return std::min(size, n - begin(i)); }
};

/// [0, n) in `count` equal parts, or fewer.
inline Parts parts_of_count(int64_t n, int64_t count) {
  return {n, std::max<int64_t>(1, divide_up(n, count))};
}

/// [0, n) in equal parts of at most `most`.
inline Parts equal_parts(int64_t n, int64_t most) {
  return parts_of_count(n, std::max<int64_t>(1, divide_up(n, most)));
}

}  // namespace mii
