#pragma once

#include <torch/torch.h>

#include <future>
#include <vector>

namespace mii {

/// Runs f(t) for each t in [0, threads) in parallel. LibTorch computes within f on its own thread only:
/// splitting the work once is cheaper than splitting every operation. An exception is rethrown when all have
/// ended.
template <typename F>
void on_threads(int threads, const F& f) {
  const bool gradients = torch::GradMode::is_enabled();
  const auto run = [&](int t) {
    at::set_num_threads(1);  // a per-thread setting
    const torch::AutoGradMode mode(gradients);
    f(static_cast<size_t>(t));
  };
  std::vector<std::future<void>> others;
  for (int t = 1; t < threads; ++t) others.push_back(std::async(std::launch::async, run, t));
  run(0);
  for (auto& other : others) other.get();
}

}  // namespace mii
