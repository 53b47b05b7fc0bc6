// The towers against the numbers that the reference gave for the same weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference_backend.h"
#include "engine/compute_thread.h"
#include "golden.h"
#include "image/preprocess.h"
#include "mii/engine.h"
#include "model/davit.h"
#include "procedural_model.h"
#include "real_pictures.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

std::unique_ptr<Backend> make(const std::string& backend) {
  return backend == "reference" ? make_reference_backend() : make_cpu_backend(DType::f32);
}

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
    else if (!real_pictures().empty())
      images.emplace(name, Image::read(real_pictures() / name));
    else
      std::cout << name
                << " is not compared: it is not here, and MII_SHARED_GOLDEN names no folder with it\n";
  }
  return images;
}

using Case = std::tuple<std::string, std::string>;

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param);
  std::ranges::replace(name, '-', '_');
  return name;
}

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
  const auto backend = make(backend_name);
  Davit tower(config.image, WeightReader(checkpoint, *backend), *backend);

  const Image image = resize_bicubic(Image::read(golden_folder() / "synthetic/rgb.png"), config.image.width,
                                     config.image.height);
  std::vector<float> pixels(image.pixels().size());
  normalise(image.pixels(), {config.image.mean, config.image.std}, pixels);

  const std::string prefix = "stage/synthetic/rgb.png/";
  size_t compared = 0;
  tower.tokens({pixels.data(), config.image.height * config.image.width, 3},
               [&](std::string_view module, ConstRows x) {
                 const std::string stage = prefix + std::string(module);
                 if (!golden.has(stage)) return;
                 const auto expected = golden.values<float>(stage);
                 ASSERT_EQ(static_cast<int64_t>(expected.size()), x.elements()) << module;
                 const std::span<const float> actual(x.data, expected.size());
                 EXPECT_LE(largest_difference(actual, expected), 1e-5f * largest(expected)) << module;
                 ++compared;
               });
  size_t wanted = 0;
  for (const std::string& tensor : golden.names()) wanted += tensor.starts_with(prefix) ? 1 : 0;
  EXPECT_EQ(compared, wanted) << "every stage that the reference wrote down is compared";
}

INSTANTIATE_TEST_SUITE_P(Backends, TinyModel,
                         testing::Combine(testing::Values("tiny-a", "tiny-b"),
                                          testing::Values("cpu", "reference")),
                         case_name);

struct Limits {
  float embedding;
  double cosine;
  float probability;
};

void compare_vectors(const Engine& engine, const Golden& golden, const Limits& limits) {
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
    EXPECT_LE(largest_difference(vectors.row(0), expected), limits.embedding) << names[i];
    EXPECT_LE(cosine_distance(vectors.row(0), expected), limits.cosine) << names[i];
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

void compare_texts(const Engine& engine, const Golden& golden, const Limits& limits) {
  const auto texts = golden.strings("texts");
  const auto expected = golden.values<float>("text/embedding");
  const Matrix vectors = engine.encode_texts(texts);
  double worst = 0, worst_cosine = 0;
  for (size_t t = 0; t < texts.size(); ++t) {
    if (ftfy_changes(texts[t])) continue;
    const auto row = std::span(expected).subspan(t * vectors.cols(), vectors.cols());
    EXPECT_LE(largest_difference(vectors.row(t), row), limits.embedding) << t;
    EXPECT_LE(cosine_distance(vectors.row(t), row), limits.cosine) << t;
    worst = std::max<double>(worst, largest_difference(vectors.row(t), row));
    worst_cosine = std::max(worst_cosine, cosine_distance(vectors.row(t), row));
  }
  std::printf("%-28s max abs difference %.2e, cosine distance %.2e\n", "texts", worst, worst_cosine);
}

constexpr Limits kFloat32{3e-6f, 1e-8, 1e-3f};
constexpr Limits kBFloat16{1, 2e-4, 1};

class TinyVectors : public testing::TestWithParam<Case> {};

TEST_P(TinyVectors, AgreeWithTheReference) {
  const auto [name, backend] = GetParam();
  const Golden golden(name);
  const ProceduralModel model(name);
  const Engine engine = Engine::open(
      model.folder(),
      {.precision = Precision::f32, .backend = backend == "cpu" ? BackendKind::cpu : BackendKind::reference});
  compare_vectors(engine, golden, kFloat32);
  compare_texts(engine, golden, kFloat32);
}

TEST_P(TinyVectors, KeepTheirDirectionInBFloat16) {
  const auto [name, backend] = GetParam();
  if (backend != "cpu" || !cpu_has_fast_bf16()) GTEST_SKIP() << "no bf16 kernels here";
  const Golden golden(name);
  const ProceduralModel model(name);
  const Engine engine = Engine::open(model.folder(), {.precision = Precision::bf16});
  compare_vectors(engine, golden, kBFloat16);
  compare_texts(engine, golden, kBFloat16);
}

INSTANTIATE_TEST_SUITE_P(Backends, TinyVectors,
                         testing::Combine(testing::Values("tiny-a", "tiny-b"),
                                          testing::Values("cpu", "reference")),
                         case_name);

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
  {
    const Engine engine = Engine::open(model.folder(), {.precision = Precision::f32});
    EXPECT_EQ(engine.info().parameters, 615996417u);
    EXPECT_EQ(engine.info().tensors, 601u);
    compare_vectors(engine, golden, kFloat32);
    compare_texts(engine, golden, kFloat32);
  }
  if (cpu_has_fast_bf16()) {
    const Engine engine = Engine::open(model.folder(), {.precision = Precision::bf16});
    compare_vectors(engine, golden, kBFloat16);
    compare_texts(engine, golden, kBFloat16);
  }
}

}  // namespace
}  // namespace mii
