// An engine on a device: what it does when the device breaks, and when it is one of several.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <iterator>
#include <numeric>
#include <thread>

#include "backend/precision.h"
#include "cuda_on_host.h"
#include "mii/engine.h"
#include "mii/error.h"
#include "procedural_model.h"
#include "tower_variants.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Image> pictures(const ModelInfo& info, size_t n) {
  std::vector<Image> images;
  for (size_t i = 0; i < n; ++i) {
    std::vector<uint8_t> pixels(info.image_width * info.image_height * 3);
    for (size_t p = 0; p < pixels.size(); ++p)
      pixels[p] = static_cast<uint8_t>((p * 2654435761u + i * 40503u) >> 13);
    images.push_back(Image::from_rgb(info.image_width, info.image_height, pixels));
  }
  return images;
}

std::vector<float> values(const Matrix& matrix) { return {matrix.values().begin(), matrix.values().end()}; }

template <typename Call>
void expect_error(ErrorCode code, const std::string& part, const Call& call) {
  try {
    call();
    ADD_FAILURE() << "no error; expected one with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

class DeviceTest : public testing::Test {
 protected:
  Engine open(EngineOptions options = {}) const {
    options.backend = "cuda";
    options.precision = Precision::f32;
    return Engine::open(model_.folder(), options);
  }

  cuda::HostDevice::Faults& faults_ = cuda_on_host();
  const ProceduralModel model_{"tiny-a"};
};

TEST_F(DeviceTest, ABatchThatTheMemoryDoesNotHoldIsHalvedAndThatIsSaidOnce) {
  const Engine roomy = open();
  const std::vector<Image> images = pictures(roomy.info(), 9);
  roomy.encode_images(std::span(images).first(2));
  const auto enough_for_two = static_cast<int64_t>(roomy.device()->memory_bytes);
  const Matrix expected = roomy.encode_images(images);

  std::vector<std::string> warnings;
  faults_.memory_limit = enough_for_two;
  const Engine engine = open({.warn = [&](std::string_view warning) { warnings.emplace_back(warning); }});
  warnings.clear();  // of the model
  EXPECT_EQ(values(engine.encode_images(images)), values(expected));
  EXPECT_EQ(engine.image_batch(), 2u);
  EXPECT_EQ(values(engine.encode_images(images)), values(expected));
  EXPECT_THAT(
      warnings,
      ElementsAre("the device's memory does not hold the batch: from now on 4 images at once, or fewer"));
}

TEST_F(DeviceTest, AnImageThatTheMemoryDoesNotHoldIsAnError) {
  const Engine engine = open();
  const std::vector<Image> images = pictures(engine.info(), 1);
  faults_.memory_limit = static_cast<int64_t>(engine.device()->memory_bytes);
  expect_error(ErrorCode::out_of_memory, "more than this device has", [&] { engine.encode_images(images); });
  faults_.memory_limit = int64_t{1} << 33;
  EXPECT_EQ(engine.encode_images(images).rows(), 1u) << "the engine stays usable";
}

TEST_F(DeviceTest, AModelThatTheMemoryDoesNotHoldIsNotOpened) {
  faults_.memory_limit = 1000;
  expect_error(ErrorCode::out_of_memory, "more than this device has", [&] { open(); });
}

TEST_F(DeviceTest, ALostDeviceIsSaidByEveryCall) {
  const Engine engine = open();
  const std::vector<Image> images = pictures(engine.info(), 2);
  engine.encode_images(images);
  faults_.lost = 1;
  for (int i = 0; i < 2; ++i) {
    expect_error(ErrorCode::device_lost, "lost", [&] { engine.encode_images(images); });
    expect_error(ErrorCode::device_lost, "lost", [&] { engine.encode_texts(std::vector<std::string>{"a"}); });
    expect_error(ErrorCode::device_lost, "lost", [&] { engine.encode_image_tokens(images); });
  }
}

TEST_F(DeviceTest, EnginesOnTwoDevicesGiveTheSameBits) {
  const Engine first = open(), second = open({.device = 1});
  EXPECT_EQ(first.device()->device, 0);
  EXPECT_EQ(second.device()->device, 1);
  EXPECT_EQ(second.device()->total_bytes, uint64_t{1} << 33);
  const std::vector<Image> images = pictures(first.info(), 3);
  const Matrix expected = first.encode_images(images);
  EXPECT_GT(first.device()->memory_bytes, second.device()->memory_bytes) << "it has activations, too";
  faults_.lost = 1;
  EXPECT_EQ(values(second.encode_images(images)), values(expected)) << "another's loss does not matter";
}

TEST_F(DeviceTest, ADeviceThatIsNotThereIsNamed) {
  expect_error(ErrorCode::invalid_argument, "device 2 of backend 'cuda', which has 2, counted from 0",
               [&] { open({.device = 2}); });
  expect_error(ErrorCode::invalid_argument, "device -1 of backend 'cuda'", [&] { open({.device = -1}); });
  expect_error(ErrorCode::invalid_argument, "device 1 of backend 'cpu', which has 1",
               [&] { Engine::open(model_.folder(), {.backend = "cpu", .device = 1}); });
  EXPECT_FALSE(Engine::open(model_.folder(), {.backend = "cpu"}).device());
}

// Whatever comes between the calls: a batch that takes more memory, texts, tokens, a lack of memory.
void expect_records_change_nothing(const ProceduralModel& model, cuda::HostDevice::Faults& faults) {
  const EngineOptions options{.precision = Precision::bf16, .backend = "cuda", .text_cache_entries = 0};
  setenv("MII_CUDA_GRAPHS", "0", 1);
  const Engine plain = Engine::open(model.folder(), options);
  unsetenv("MII_CUDA_GRAPHS");
  const Engine recording = Engine::open(model.folder(), options);
  const std::vector<Image> images = pictures(plain.info(), 5);
  const Matrix expected = plain.encode_images(images);  // a vector does not depend on its neighbours
  size_t first = 0;
  const auto compare = [&](size_t n) {
    first = (first + n) % (images.size() - n + 1);
    const std::vector<float> actual = values(recording.encode_images(std::span(images).subspan(first, n)));
    EXPECT_TRUE(std::ranges::equal(actual, expected.values().subspan(first * expected.cols(), actual.size())))
        << n << " from " << first;
  };
  for (const size_t n : {1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 1}) compare(n);
  EXPECT_GE(faults.plays, 3);
  const int64_t plays = faults.plays;
  recording.encode_texts(std::vector<std::string>{"a text of some more words than the others", "b"});
  compare(1);
  recording.encode_image_tokens(std::span(images).first(2));
  faults.memory_limit = static_cast<int64_t>(recording.device()->memory_bytes);
  compare(5);
  faults.memory_limit = int64_t{1} << 33;
  for (int i = 0; i < 5; ++i) compare(1);
  EXPECT_GT(faults.plays, plays);
}

// In some towers the buffers change places from call to call.
TEST_F(DeviceTest, RecordsOfSmallBatchesChangeNoBit) {
  for (const TowerVariant& variant : tower_variants()) {
    if (variant.name != "TinyA" && variant.name != "NoConvolutions") continue;
    SCOPED_TRACE(variant.name);
    faults_.plays = 0;
    expect_records_change_nothing(ProceduralModel(variant.model, variant.edits), faults_);
  }
}

// What the table promises of it; and bf16 is nearer.
TEST_F(DeviceTest, Fp8KeepsItsPromise) {
  const Engine exact = open();
  const std::vector<Image> images = pictures(exact.info(), 3);
  const Matrix expected = exact.encode_images(images);
  const auto largest_distance = [&](Precision precision) {
    const Matrix actual =
        Engine::open(model_.folder(), {.precision = precision, .backend = "cuda"}).encode_images(images);
    double largest = 0;
    for (size_t i = 0; i < actual.rows(); ++i)
      largest = std::max(largest, 1 - std::inner_product(actual.row(i).begin(), actual.row(i).end(),
                                                         expected.row(i).begin(), 0.0));
    return largest;
  };
  const double fp8 = largest_distance(Precision::fp8), bf16 = largest_distance(Precision::bf16);
  std::cout << "cosine distance of fp8 " << fp8 << ", of bf16 " << bf16 << "\n";
  EXPECT_LE(fp8, info_of(Precision::fp8).cosine_distance);
  EXPECT_LT(bf16, fp8);
}

TEST_F(DeviceTest, TheMemoryDoesNotGrowWithTheCalls) {
  const Engine engine = open({.text_cache_entries = 0});
  const std::vector<Image> images = pictures(engine.info(), 3);
  const auto call = [&] {
    for (size_t n = 1; n <= images.size(); ++n) engine.encode_images(std::span(images).first(n));
    engine.encode_texts(std::vector<std::string>{"a text", "another one"});
    engine.encode_image_tokens(images);
    return engine.device()->memory_bytes;
  };
  const uint64_t bytes = call();
  for (int i = 0; i < 6; ++i) ASSERT_EQ(call(), bytes) << i;
}

// What two threads get, each of which encodes some of the images again and again: all but the last, all but
// the first.
using Pair = std::pair<std::vector<float>, std::vector<float>>;
Pair by_two_threads(const Engine& engine, std::span<const Image> images, int calls = 1) {
  const auto encode = [&](size_t first) {
    std::vector<float> all;
    for (int i = 0; i < calls; ++i)
      std::ranges::copy(engine.encode_images(images.subspan(first, images.size() - 1)).values(),
                        std::back_inserter(all));
    return all;
  };
  auto other = std::async(std::launch::async, encode, 1);
  std::vector<float> own = encode(0);
  return {std::move(own), other.get()};
}

// The same, from one thread's vectors of all images.
Pair as_by_two_threads(const Matrix& vectors, int calls = 1) {
  const auto repeated = [&](size_t first) {
    std::vector<float> all;
    for (int i = 0; i < calls; ++i)
      std::ranges::copy(
          vectors.values().subspan(first * vectors.cols(), (vectors.rows() - 1) * vectors.cols()),
          std::back_inserter(all));
    return all;
  };
  return {repeated(0), repeated(1)};
}

// Sizes on both sides of the bounds, and the model's own.
TEST_F(DeviceTest, ResizesWithTheBitsOfTheHost) {
  const Engine host = open(), device = open({.resize_on_device = true});
  const ModelInfo& info = host.info();
  std::vector<Image> images = pictures(info, 1);
  for (const auto& [width, height] :
       {std::pair<size_t, size_t>{1, 1}, {40, 30}, {333, 77}, {1024, 1024}, {1024, 1025}, {4097, 3}}) {
    std::vector<uint8_t> pixels(width * height * 3);
    for (size_t p = 0; p < pixels.size(); ++p) pixels[p] = static_cast<uint8_t>((p * 2654435761u) >> 13);
    images.push_back(Image::from_rgb(width, height, pixels));
    const Image ready = device.prepare(images.back());
    const bool left = width <= 4096 && width * height <= size_t{1} << 20;
    EXPECT_EQ(ready.width(), left ? width : info.image_width) << width << " x " << height;
    EXPECT_EQ(ready.height(), left ? height : info.image_height);
    EXPECT_EQ(host.prepare(images.back()).width(), info.image_width);
  }
  const std::vector<float> expected = values(host.encode_images(images));
  EXPECT_EQ(values(device.encode_images(images)), expected);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(by_two_threads(device, images, 2), as_by_two_threads(host.encode_images(images), 2));
  std::vector<Image> prepared;
  for (const Image& image : images) prepared.push_back(device.prepare(image));
  EXPECT_EQ(values(device.encode_images(prepared)), expected);
  EXPECT_EQ(values(device.encode_image_tokens(images).back().tokens),
            values(host.encode_image_tokens(images).back().tokens));
  EXPECT_EQ(device.identity(), host.identity());
}

TEST_F(DeviceTest, WhatDoesNotResizeSaysSo) {
  std::vector<std::string> warnings;
  const auto warn = [&](std::string_view warning) { warnings.emplace_back(warning); };
  const Engine engine =
      Engine::open(model_.folder(), {.backend = "cpu", .resize_on_device = true, .warn = warn});
  EXPECT_THAT(warnings, testing::Contains(testing::AllOf(HasSubstr("images are resized on the host: cpu ("),
                                                         HasSubstr(") does not do it"))));
  const Image image = Image::from_rgb(1, 1, std::vector<uint8_t>(3));
  EXPECT_EQ(engine.prepare(image).width(), engine.info().image_width);
}

// The first batch is not computed before the second has gone up.
TEST_F(DeviceTest, ABatchGoesUpWhileAnotherIsComputed) {
  const Engine engine = open();
  EXPECT_EQ(engine.batches_at_once(), 2u);
  const std::vector<Image> images = pictures(engine.info(), 4);
  const Matrix expected = engine.encode_images(images);
  EXPECT_EQ(faults_.others_behind, 0);
  faults_.others_to_wait_for = 1;
  EXPECT_EQ(by_two_threads(engine, images), as_by_two_threads(expected));
  EXPECT_GE(faults_.others_behind, 1);
}

// Nor does a record name a slot.
TEST_F(DeviceTest, WithoutOverlapNothingGoesUpBesideWorkAndNoBitChanges) {
  setenv("MII_CUDA_OVERLAP", "0", 1);
  const Engine plain = open();
  unsetenv("MII_CUDA_OVERLAP");
  EXPECT_EQ(plain.batches_at_once(), 1u);
  const std::vector<Image> images = pictures(plain.info(), 3);
  const Pair expected = as_by_two_threads(plain.encode_images(images), 8);
  EXPECT_EQ(by_two_threads(plain, images, 8), expected);
  EXPECT_EQ(faults_.others_behind, 0);
  faults_.plays = 0;
  EXPECT_EQ(by_two_threads(open(), images, 8), expected);
  EXPECT_GT(faults_.plays, 0);
}

// Activations of one batch and a slot for each of the two that are under way, however many calls.
TEST_F(DeviceTest, TheMemoryDoesNotGrowWithTheCallsOfTwoThreads) {
  const Engine engine = open();
  const std::vector<Image> images = pictures(engine.info(), 3);
  engine.encode_images(std::span(images).first(2));
  const uint64_t most = engine.device()->memory_bytes + 2 * images[0].pixels().size();
  for (int i = 0; i < 4; ++i) {
    by_two_threads(engine, images, 4);
    ASSERT_LE(engine.device()->memory_bytes, most) << i;
  }
}

TEST_F(DeviceTest, BatchesOfTwoThreadsThatTheMemoryDoesNotHoldAreHalved) {
  const Engine roomy = open(), engine = open();
  const std::vector<Image> images = pictures(roomy.info(), 7);
  const uint64_t empty = engine.device()->memory_bytes;
  const Matrix expected = roomy.encode_images(images);
  faults_.memory_limit = static_cast<int64_t>(empty + roomy.device()->memory_bytes) / 2;
  EXPECT_EQ(by_two_threads(engine, images, 2), as_by_two_threads(expected, 2));
  EXPECT_LT(engine.image_batch(), images.size() - 1);
}

TEST_F(DeviceTest, AnImageThatHasNoRoomBesideAnotherWaits) {
  const Engine roomy = open(), engine = open();
  const std::vector<Image> images = pictures(roomy.info(), 2);
  roomy.encode_images(std::span(images).first(1));
  const auto enough_for_one = static_cast<int64_t>(roomy.device()->memory_bytes);
  const Pair expected = as_by_two_threads(roomy.encode_images(images), 5);
  faults_.memory_limit = enough_for_one;
  EXPECT_EQ(by_two_threads(engine, images, 5), expected);
}

TEST_F(DeviceTest, ADeviceThatIsLostIsSaidToAllThreadsAndNoneWaitsForEver) {
  const Engine engine = open();
  const std::vector<Image> images = pictures(engine.info(), 2);
  const auto encode_until_lost = [&] {
    for (;;) engine.encode_images(images);
  };
  faults_.others_to_wait_for = 1;
  std::vector<std::future<void>> threads;
  for (int i = 0; i < 4; ++i) threads.push_back(std::async(std::launch::async, encode_until_lost));
  while (faults_.others_behind == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  faults_.lost = 1;
  for (auto& thread : threads) expect_error(ErrorCode::device_lost, "lost", [&] { thread.get(); });
  faults_.lost = 0;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(engine.encode_images(images).rows(), 2u) << "all slots are back";
}

TEST_F(DeviceTest, ARecordingThatFailsIsDoneWithout) {
  faults_.recordings_to_fail = 1;
  const Engine engine = open();
  const std::vector<Image> images = pictures(engine.info(), 1);
  const std::vector<float> expected = values(engine.encode_images(images));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(values(engine.encode_images(images)), expected);
  EXPECT_EQ(faults_.recordings_to_fail, 0);
  EXPECT_EQ(faults_.plays, 0);
}

}  // namespace
}  // namespace mii
