// Compares a CUDA device with the processor; skipped where there is no device.
#include <gmock/gmock.h>

#include "small_model.h"
#include "train/batch_pass.h"

namespace mii {
namespace {

using torch::Tensor;

// Both compute in float32, without TF32, and differ in the order of additions: the bounds are those of slices
// against the whole (towers_test.cpp).
TEST(Cuda, HasTheRowsAndGradientsOfTheProcessor) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "this LibTorch sees no CUDA device";
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  torch::manual_seed(1);
  const ModelConfig config = ModelConfig::parse(kSmallConfig, "config.yaml");
  Parameters here = initial_parameters(config, 50), there;
  for (auto& [name, value] : here) {
    there.emplace(name, value.to(torch::kCUDA).set_requires_grad(true));
    value.set_requires_grad(true);
  }
  const Tensor pixels = torch::randn({37, 3, 32, 32}), weights = torch::randn({37, 55});
  Random random{1};
  const Tensor factors = drop_path_factors(config, 37, 0.3, random);
  const TextBatch texts{torch::randint(1, 50, {55, 9}, torch::kInt64),
                        torch::randint(2, 10, {55}, torch::kInt64)};
  const auto there_and_back = [&](const Parameters& parameters, torch::Device device) {
    BatchPass pass(config, parameters, 1);
    pass.forward(pixels.to(device), factors.to(device), texts);
    const Tensor logits = torch::matmul(pass.images(), pass.texts().t());
    (logits * weights.to(device)).sum().backward();
    pass.backward();
    return logits.detach().cpu();
  };
  EXPECT_TRUE(
      torch::allclose(there_and_back(there, torch::kCUDA), there_and_back(here, torch::kCPU), 1e-4, 1e-5));
  for (const auto& [name, value] : here) {
    const Tensor& other = there.at(name).grad();
    ASSERT_EQ(value.grad().defined(), other.defined()) << name;
    if (!other.defined()) continue;
    const double scale = value.grad().abs().max().item<double>();
    EXPECT_LT((value.grad() - other.cpu()).abs().max().item<double>(), 1e-4 * scale + 1e-6) << name;
  }
}

}  // namespace
}  // namespace mii
