#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>

namespace mii {

/// Random numbers that depend only on the given keys (a seed, a step, an index), so that a resumed training
/// draws the same ones again. SplitMix64 (Steele et al., 2014).
class Random {
 public:
  Random(std::initializer_list<uint64_t> keys) {
    for (const uint64_t key : keys) state_ = mixed(state_ ^ mixed(key + 0x9E3779B97F4A7C15u));
  }

  uint64_t bits() { return mixed(state_ += 0x9E3779B97F4A7C15u); }
  /// In [0, 1).
  float uniform() { return static_cast<float>(bits() >> 40) * 0x1p-24f; }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// In [0, n).
  int64_t below(int64_t n) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(n)); }
  bool chance(float probability) { return uniform() < probability; }
  /// Mean 0, variance 1.
  float normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.2831853f * uniform()); }

 private:
  static uint64_t mixed(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  uint64_t state_ = 0;
};

}  // namespace mii
