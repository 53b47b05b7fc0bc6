// The towers against the numbers that the reference gave for the same weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "backend/cuda/cuda_backend.h"
#include "backend/precision.h"
#include "backend/registry.h"
#include "golden.h"
#include "image/preprocess.h"
#include "mii/engine.h"
#include "model/davit.h"
#include "procedural_model.h"
#include "real_images.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

float largest(std::span<const float> values) {
  float m = 0;
  for (const float v : values) m = std::max(m, std::abs(v));
  return m;
}

float largest_difference(std::span<const float> a, std::span<const float> b) {
  float m = 0;
  for (size_t i = 0; i < a.size(); ++i) m = std::max(m, std::abs(a[i] - b[i]));
  return m;
}

double cosine_distance(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return 1 - ab / std::sqrt(aa * bb);
}

// The inputs of a model's expected vectors that exist here.
std::map<std::string, Image> inputs(const Golden& golden) {
  std::map<std::string, Image> images;
  for (const std::string& name : golden.strings("inputs")) {
    const bool synthetic = name.starts_with("synthetic/");
    if (synthetic)
      images.emplace(name, Image::read(golden_folder() / name));
    else if (!real_images().empty())
      images.emplace(name, Image::read(real_images() / name));
    else
      std::cout << name
                << " is not compared: it is not here, and MII_SHARED_GOLDEN names no folder with it\n";
  }
  return images;
}

std::vector<std::string> names_of_backends() {
  std::vector<std::string> names;
  for (const BackendEntry& entry : backends()) names.emplace_back(entry.name);
  return names;
}

std::vector<std::string> names_of_precisions() {
  std::vector<std::string> names;
  for (const PrecisionInfo& info : precisions()) names.emplace_back(info.name);
  return names;
}

bool offers(const BackendEntry& backend, Precision precision) {
  return backend.available() && std::ranges::count(backend.precisions(), precision) > 0;
}

std::string without_hyphens(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

// The device's kernels as loops on the host.
constexpr const char* kCudaOnHost = "cuda_on_host";

BackendEntry backend_named(const std::string& name) {
  return name == kCudaOnHost ? cuda::device_backend()
                             : *std::ranges::find(backends(), name, &BackendEntry::name);
}

std::vector<std::string> with_cuda_on_host(std::vector<std::string> names) {
  names.emplace_back(kCudaOnHost);
  return names;
}

// On a device: what it records and plays again gives the bits of kernels that are started one by one.
TEST(Records, ChangeNoBit) {
  const ProceduralModel model("tiny-a");
  for (const BackendEntry& entry : backends()) {
    if (!entry.available()) continue;
    const EngineOptions options{.backend = std::string(entry.name)};
    setenv("MII_CUDA_GRAPHS", "0", 1);
    const Engine plain = Engine::open(model.folder(), options);
    unsetenv("MII_CUDA_GRAPHS");
    const Engine recording = Engine::open(model.folder(), options);
    std::vector<Image> images;
    for (const char* name : {"rgb.png", "grey16.png", "rgb.png"})
      images.push_back(Image::read(golden_folder() / "synthetic" / name));
    for (size_t call = 0; call < 15; ++call) {
      const auto some = std::span(images).subspan(call % 2, 1 + call / 5 % 2);
      const Matrix actual = recording.encode_images(some), expected = plain.encode_images(some);
      EXPECT_TRUE(std::ranges::equal(actual.values(), expected.values())) << entry.name << ", call " << call;
    }
  }
}

// A model and a backend.
using Case = std::tuple<std::string, std::string>;
class TinyModel : public testing::TestWithParam<Case> {};

// Every part's output is within 1e-5 of the largest activation there.
TEST_P(TinyModel, AgreesStageByStage) {
  const auto [name, backend_name] = GetParam();
  const Golden golden(name);
  const ProceduralModel model(name);
  const auto folder = ModelFolder::find(model.folder());
  const auto config = ModelConfig::read(folder.config);
  const auto checkpoint =
      Checkpoint::open(folder.weights, config, ClipTokenizer::load(folder.tokenizer).vocabulary_size());
  const BackendEntry entry = backend_named(backend_name);
  if (!entry.available()) GTEST_SKIP() << backend_name << " cannot run here: " << entry.obstacle();
  const auto backend = entry.make({.precision = Precision::f32});
  backend->attach_thread();
  Davit tower(config.image, WeightReader(checkpoint, *backend), *backend);

  const Image image = resize_bicubic(Image::read(golden_folder() / "synthetic/rgb.png"), config.image.width,
                                     config.image.height);
  const std::span<const uint8_t> pixels = image.pixels();

  const std::string prefix = "stage/synthetic/rgb.png/";
  size_t compared = 0;
  tower.tokens(pixels, [&](std::string_view module, ConstRows x) {
    const std::string stage = prefix + std::string(module);
    if (!golden.has(stage)) return;
    const auto expected = golden.values<float>(stage);
    ASSERT_EQ(static_cast<int64_t>(expected.size()), x.elements()) << module;
    std::vector<float> actual(expected.size());
    backend->download(x, actual);
    EXPECT_LE(largest_difference(actual, expected), 1e-5f * largest(expected)) << module;
    ++compared;
  });
  size_t wanted = 0;
  for (const std::string& tensor : golden.names()) wanted += tensor.starts_with(prefix) ? 1 : 0;
  EXPECT_EQ(compared, wanted) << "every stage that the reference wrote down is compared";
}

INSTANTIATE_TEST_SUITE_P(Backends, TinyModel,
                         testing::Combine(testing::Values("tiny-a", "tiny-b"),
                                          testing::ValuesIn(with_cuda_on_host(names_of_backends()))),
                         [](const auto& test) {
                           return without_hyphens(std::get<0>(test.param) + "_" + std::get<1>(test.param));
                         });

void expect_close_vectors(const Engine& engine, const Golden& golden, const PrecisionInfo& limits) {
  const auto images = inputs(golden);
  ASSERT_FALSE(images.empty());
  const auto names = golden.strings("inputs");
  auto labels = golden.strings("texts");
  labels.resize(7);
  const auto softmax = golden.values<float>("score/softmax_labels");
  const auto sigmoid = golden.values<float>("score/sigmoid_labels");
  for (size_t i = 0; i < names.size(); ++i) {
    const auto image = images.find(names[i]);
    if (image == images.end()) continue;
    const Matrix vectors = engine.encode_images({&image->second, 1});
    const auto expected = golden.values<float>("embedding/" + names[i]);
    ASSERT_EQ(expected.size(), vectors.cols());
    EXPECT_LE(largest_difference(vectors.row(0), expected), limits.difference) << names[i];
    EXPECT_LE(cosine_distance(vectors.row(0), expected), limits.cosine_distance) << names[i];
    const Matrix one = engine.classify_vectors(vectors, labels);
    const Matrix many = engine.classify_vectors(vectors, labels, {.multilabel = true});
    EXPECT_LE(largest_difference(one.row(0), std::span(softmax).subspan(i * 7, 7)), limits.probability)
        << names[i];
    EXPECT_LE(largest_difference(many.row(0), std::span(sigmoid).subspan(i * 7, 7)), limits.probability)
        << names[i];
    std::printf("%-28s max abs difference %.2e, cosine distance %.2e, probabilities %.2e\n", names[i].c_str(),
                largest_difference(vectors.row(0), expected), cosine_distance(vectors.row(0), expected),
                largest_difference(one.row(0), std::span(softmax).subspan(i * 7, 7)));
  }
}

void expect_close_texts(const Engine& engine, const Golden& golden, const PrecisionInfo& limits) {
  const auto texts = golden.strings("texts");
  const auto expected = golden.values<float>("text/embedding");
  const Matrix vectors = engine.encode_texts(texts);
  double worst = 0, worst_cosine = 0;
  for (size_t t = 0; t < texts.size(); ++t) {
    if (ftfy_changes(texts[t])) continue;
    const auto row = std::span(expected).subspan(t * vectors.cols(), vectors.cols());
    EXPECT_LE(largest_difference(vectors.row(t), row), limits.difference) << t;
    EXPECT_LE(cosine_distance(vectors.row(t), row), limits.cosine_distance) << t;
    worst = std::max<double>(worst, largest_difference(vectors.row(t), row));
    worst_cosine = std::max(worst_cosine, cosine_distance(vectors.row(t), row));
  }
  std::printf("%-28s max abs difference %.2e, cosine distance %.2e\n", "texts", worst, worst_cosine);
}

// A model, a backend and a precision.
using VectorsCase = std::tuple<std::string, std::string, std::string>;
class TinyVectors : public testing::TestWithParam<VectorsCase> {};

TEST_P(TinyVectors, KeepWhatThePrecisionPromises) {
  const auto [name, backend_name, precision_name] = GetParam();
  const BackendEntry& backend = *std::ranges::find(backends(), backend_name, &BackendEntry::name);
  const PrecisionInfo& precision = info_of(parse_precision(precision_name));
  if (!offers(backend, precision.precision))
    GTEST_SKIP() << backend_name << " does not offer " << precision_name << " here";
  const Golden golden(name);
  const ProceduralModel model(name);
  const Engine engine =
      Engine::open(model.folder(), {.precision = precision.precision, .backend = backend_name});
  EXPECT_EQ(engine.info().precision, precision.precision);
  expect_close_vectors(engine, golden, precision);
  expect_close_texts(engine, golden, precision);
}

INSTANTIATE_TEST_SUITE_P(Backends, TinyVectors,
                         testing::Combine(testing::Values("tiny-a", "tiny-b"),
                                          testing::ValuesIn(names_of_backends()),
                                          testing::ValuesIn(names_of_precisions())),
                         [](const auto& test) {
                           return without_hyphens(std::get<0>(test.param) + "_" + std::get<1>(test.param) +
                                                  "_" + std::get<2>(test.param));
                         });

bool room_for_full_size() {
  const auto free_disk = std::filesystem::space(std::filesystem::temp_directory_path()).available;
  const auto memory =
      static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return free_disk > (5ull << 30) && memory > (8ull << 30);
}

// The published sizes: 0.6 billion weights.
TEST(FullSize, AgreesWithTheReference) {
  if (!room_for_full_size()) GTEST_SKIP() << "needs 5 GiB of disk and 8 GiB of memory";
  const Golden golden("full");
  const ProceduralModel model("full");
  for (const PrecisionInfo& precision : precisions()) {
    if (!offers(find_backend("auto"), precision.precision)) continue;
    const Engine engine = Engine::open(model.folder(), {.precision = precision.precision});
    EXPECT_EQ(engine.info().parameters, 615996417u);
    EXPECT_EQ(engine.info().tensors, 601u);
    expect_close_vectors(engine, golden, precision);
    expect_close_texts(engine, golden, precision);
  }
}

}  // namespace
}  // namespace mii
