#include "dataset/pack.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "core/file.h"
#include "mii/error.h"
#include "weights/safetensors.h"

namespace mii {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Pack sample() {
  Pack pack;
  pack.model.image = {
      .width = 64, .height = 32, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
  pack.model.image.stages = {{8, 1, 2, 4, 7, 4, 3, false}, {16, 2, 4, 4, 3, 2, 1, true}};
  pack.model.image.window_size = 5;
  pack.model.image.dynamic_scale = false;
  pack.model.text = {77, 16, 2, 3, false};
  pack.model.embedding_dim = 12;
  pack.vocabulary_size = 100;
  pack.label_sets = {"X-Ray\tchest", "CT\t"};
  pack.fields = {"modality", "anatomy"};
  pack.concepts = {{"X-Ray", 0, 2, {0}}, {"chest", 1, 1, {0}}, {"CT", 0, 2, {1}}};
  pack.captions = {{0, {98, 5, 99}}, {2, {98, 7, 8, 99}}};
  pack.truth = {Truth::yes, Truth::yes, Truth::no, Truth::no, Truth::unknown, Truth::yes};
  for (int i = 0; i < 5; ++i)
    pack.images.push_back({i == 4, i % 2, std::vector<std::byte>(3000, static_cast<std::byte>(i))});
  return pack;
}

class PackTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("mii-pack-" + std::to_string(getpid()));
};

TEST_F(PackTest, ComesBackAsItWasWrittenInShardsOfTheSizeAskedFor) {
  const Pack pack = sample();
  write_pack(pack, folder_, 11000);
  size_t shards = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_LE(entry.file_size(), 11000u);
    shards += entry.path().filename().string().starts_with("images-") ? 1 : 0;
  }
  EXPECT_EQ(shards, 3u);

  const Pack read = read_pack(folder_);
  EXPECT_EQ(read.model.image.width, 64);
  EXPECT_EQ(read.model.image.mean, pack.model.image.mean);
  EXPECT_EQ(read.model.image.std, pack.model.image.std);
  ASSERT_EQ(read.model.image.stages.size(), 2u);
  EXPECT_EQ(read.model.image.stages[1].depth, 2);
  EXPECT_TRUE(read.model.image.stages[1].patch_prenorm);
  EXPECT_FALSE(read.model.image.dynamic_scale);
  EXPECT_EQ(read.model.text.layers, 3);
  EXPECT_FALSE(read.model.text.causal);
  EXPECT_EQ(read.model.embedding_dim, 12);
  EXPECT_EQ(read.label_sets, pack.label_sets);
  EXPECT_EQ(read.truth, pack.truth);
  ASSERT_EQ(read.images.size(), 5u);
  EXPECT_EQ(read.images[3].jpeg, pack.images[3].jpeg);
  EXPECT_TRUE(read.images[4].validation);
  EXPECT_EQ(read.captions[1].ids, pack.captions[1].ids);
  EXPECT_THAT(read.concepts[2].drawn_by, ElementsAre(1));
}

TEST_F(PackTest, OfALargerPackInTheFolderNothingIsLeft) {
  write_pack(sample(), folder_, 11000);
  Pack smaller = sample();
  smaller.images.resize(2);
  write_pack(smaller, folder_, 11000);
  EXPECT_EQ(read_pack(folder_).images.size(), 2u);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "images-002.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "images-003.safetensors"));
}

TEST_F(PackTest, KeepsPatientsAndReadsPacksWithoutThem) {
  Pack pack = sample();
  pack.images[1].patient = 4;
  write_pack(pack, folder_);
  EXPECT_EQ(read_pack(folder_).images[0].patient, -1);
  EXPECT_EQ(read_pack(folder_).images[1].patient, 4);

  const std::filesystem::path path = folder_ / "pack.safetensors";
  {
    const MappedFile file = MappedFile::open(path);
    const Safetensors content = parse_safetensors(file.bytes(), "pack");
    std::vector<SafetensorsWriter::Entry> entries;
    std::vector<std::span<const std::byte>> data;
    for (const auto& [name, tensor] : content.tensors) {
      if (name == "image.patient") continue;
      const DType dtype = tensor.dtype == "U8"    ? DType::u8
                          : tensor.dtype == "I32" ? DType::i32
                          : tensor.dtype == "I64" ? DType::i64
                                                  : DType::f32;
      entries.push_back({name, dtype, tensor.shape});
      data.push_back(tensor.data);
    }
    SafetensorsWriter writer(path, entries, {content.metadata.begin(), content.metadata.end()});
    for (const auto bytes : data) writer.write(bytes);
    writer.commit();
  }
  EXPECT_EQ(read_pack(folder_).images[1].patient, -1);
}

std::string refusal(const std::filesystem::path& folder) {
  try {
    read_pack(folder);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST_F(PackTest, PartsThatDoNotFitAreRefused) {
  Pack pack = sample();
  pack.captions[0].ids[1] = 100;
  write_pack(pack, folder_);
  EXPECT_THAT(refusal(folder_), HasSubstr("beyond the vocabulary"));
  pack = sample();
  pack.images[0].label_set = 2;
  write_pack(pack, folder_);
  EXPECT_THAT(refusal(folder_), HasSubstr("unknown label set"));
  pack = sample();
  pack.truth.pop_back();
  write_pack(pack, folder_);
  EXPECT_THAT(refusal(folder_), HasSubstr("different lengths"));
  pack = sample();
  write_pack(pack, folder_);
  std::filesystem::remove(folder_ / "images-001.safetensors");
  EXPECT_THAT(refusal(folder_), HasSubstr("images-001.safetensors"));
}

}  // namespace
}  // namespace mii
