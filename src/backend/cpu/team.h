#pragma once

namespace mii {

/// Threads of a computation: as many as wanted, or with 0 every core that this process may run on; fewer
/// where OMP_THREAD_LIMIT asks for it.
int team_size(int wanted);

/// Gives the calling thread an OpenMP team of this size.
void set_team(int threads);

/// The calling thread is alone as long as this lives: what oneDNN prepares meanwhile is for one thread.
class TeamOfOne {
 public:
  TeamOfOne();
  ~TeamOfOne();
  TeamOfOne(const TeamOfOne&) = delete;
  TeamOfOne& operator=(const TeamOfOne&) = delete;

 private:
  int threads_;
};

}  // namespace mii
