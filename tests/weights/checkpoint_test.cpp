#include "weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "golden.h"
#include "procedural_model.h"
#include "weights/convert.h"
#include "weights/model_folder.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Weights : public testing::TestWithParam<const char*> {};

// First value, last value and sum of some tensors, as the reference's generator gave them.
TEST_P(Weights, ProceduralValuesEqualTheReference) {
  const Golden golden(GetParam());
  const auto checks =
      boost::json::parse(read_text_file(golden.folder() / "weights_check.json", 1 << 20)).as_object();
  const auto vocabulary = ClipTokenizer::load(golden.tokenizer()).vocabulary_size();
  size_t compared = 0;
  for (const TensorSpec& spec :
       tensor_specs(ModelConfig::read(golden.folder() / "config.yaml"), vocabulary)) {
    const auto* check = checks.if_contains(spec.name);
    if (check == nullptr) continue;
    const int64_t n = element_count(spec.shape);
    std::vector<float> values(static_cast<size_t>(n));
    procedural_values(spec, 0, n, values.data());
    double sum = 0, size = 0;
    for (const float v : values) {
      sum += v;
      size += std::abs(v);
    }
    const auto& numbers = check->as_array();
    EXPECT_EQ(values.front(), static_cast<float>(numbers[0].to_number<double>())) << spec.name;
    EXPECT_EQ(values.back(), static_cast<float>(numbers[1].to_number<double>())) << spec.name;
    // Sums of float64 in another order differ by at most n * eps * the sum of magnitudes; far less in
    // practice.
    EXPECT_NEAR(sum, numbers[2].to_number<double>(), 1e-12 * size + 1e-12) << spec.name;
    ++compared;
  }
  EXPECT_EQ(compared, checks.size());
}
INSTANTIATE_TEST_SUITE_P(Models, Weights, testing::Values("tiny-a", "tiny-b", "full"));

TEST(TensorSpecs, CountThePublishedModel) {
  const auto specs = tensor_specs(ModelConfig::read(golden_folder() / "full" / "config.yaml"), 49408);
  int64_t values = 0;
  for (const TensorSpec& spec : specs) values += element_count(spec.shape);
  EXPECT_EQ(specs.size(), 601u);
  EXPECT_EQ(values, 615996417);
}

TEST(PublishedName, KnowsOlderNames) {
  EXPECT_EQ(published_name("visual.conv_embeds.0.proj.weight"), "image_encoder.convs.0.proj.weight");
  EXPECT_EQ(published_name("visual.main_blocks.2.8.0.attn.qkv.bias"),
            "image_encoder.blocks.2.8.spatial_block.window_attn.fn.qkv.bias");
  EXPECT_EQ(published_name("visual.main_blocks.0.0.1.cpe.1.proj.weight"),
            "image_encoder.blocks.0.0.channel_block.conv2.fn.dw.weight");
  EXPECT_EQ(published_name("visual.main_blocks.0.0.1.mlp.fc1.weight"),
            "image_encoder.blocks.0.0.channel_block.ffn.fn.net.fc1.weight");
  EXPECT_EQ(published_name("visual.main_blocks.0.0.0.norm2.bias"),
            "image_encoder.blocks.0.0.spatial_block.ffn.norm.bias");
  EXPECT_EQ(published_name("text.ln_final.weight"), "lang_encoder.ln_final.weight");
  EXPECT_EQ(published_name("vision_projection"), "image_projection");
  EXPECT_EQ(published_name("text_projection"), "lang_projection");
  EXPECT_EQ(published_name("logit_scale"), "logit_scale");
}

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    config_ = ModelConfig::read(model_.folder() / "config.yaml");
    vocabulary_ = ClipTokenizer::load(ModelFolder::find(model_.folder()).tokenizer).vocabulary_size();
  }
  void TearDown() override { fs::remove(path_); }

  // Writes the model's tensors as `change` leaves them: renamed, with another shape, or left out when it
  // returns false.
  template <typename Change>
  void write(const Change& change, std::vector<SafetensorsWriter::Entry> extra = {}) const {
    std::vector<SafetensorsWriter::Entry> entries;
    for (const TensorSpec& spec : tensor_specs(config_, vocabulary_)) {
      SafetensorsWriter::Entry entry{spec.name, DType::f32, spec.shape};
      if (change(entry)) entries.push_back(entry);
    }
    entries.insert(entries.end(), extra.begin(), extra.end());
    SafetensorsWriter writer(path_, entries);
    for (const auto& entry : entries)
      writer.write(
          std::vector<std::byte>(static_cast<size_t>(element_count(entry.shape)) * size_of(entry.dtype)));
    writer.commit();
  }
  Checkpoint open() const { return Checkpoint::open(path_, config_, vocabulary_); }

  ProceduralModel model_{"tiny-a"};
  ModelConfig config_;
  int64_t vocabulary_ = 0;
  fs::path path_ = fs::temp_directory_path() / ("mii-checkpoint-" + std::to_string(getpid()));
};

TEST_F(CheckpointTest, ReportsMissingAndMisshapedTensorsTogether) {
  write([](auto& entry) {
    if (entry.name == "image_encoder.norms.weight") entry.shape = {7};
    return entry.name != "logit_scale" && entry.name != "lang_projection";
  });
  try {
    open();
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_weights);
    EXPECT_THAT(e.what(), HasSubstr("2 tensors are missing"));
    EXPECT_THAT(e.what(), HasSubstr("'logit_scale'"));
    EXPECT_THAT(e.what(), HasSubstr("'image_encoder.norms.weight' has [7], expected [128]"));
  }
}

TEST_F(CheckpointTest, ExtraTensorsAreAWarning) {
  write([](auto&) { return true; }, {{"optimizer.state", DType::f32, {3}}});
  const Checkpoint checkpoint = open();
  ASSERT_EQ(checkpoint.warnings().size(), 1u);
  EXPECT_THAT(checkpoint.warnings()[0], HasSubstr("optimizer.state"));
}

TEST_F(CheckpointTest, LoadsOlderNames) {
  write([](auto& entry) {
    const auto rename = [&](const std::string& from, const std::string& to) {
      if (const size_t at = entry.name.find(from); at != std::string::npos)
        entry.name.replace(at, from.size(), to);
    };
    rename("image_encoder.", "visual.");
    rename("visual.convs.", "visual.conv_embeds.");
    rename("visual.blocks.", "visual.main_blocks.");
    rename("lang_encoder.", "text.");
    if (entry.name == "image_projection") entry.name = "vision_projection";
    if (entry.name == "lang_projection") entry.name = "text_projection";
    for (const auto& [block, number] :
         {std::pair{"spatial_block.", "0."}, std::pair{"channel_block.", "1."}}) {
      rename(std::string(block) + "window_attn.fn.", std::string(number) + "attn.");
      rename(std::string(block) + "channel_attn.fn.", std::string(number) + "attn.");
      rename(std::string(block) + "window_attn.norm", std::string(number) + "norm1");
      rename(std::string(block) + "channel_attn.norm", std::string(number) + "norm1");
      rename(std::string(block) + "ffn.norm", std::string(number) + "norm2");
      rename(std::string(block) + "ffn.fn.net.", std::string(number) + "mlp.");
      rename(std::string(block) + "conv1.fn.dw", std::string(number) + "cpe.0.proj");
      rename(std::string(block) + "conv2.fn.dw", std::string(number) + "cpe.1.proj");
    }
    return true;
  });
  EXPECT_TRUE(open().warnings().empty());
}

TEST_F(CheckpointTest, AnIntegerTensorIsRefused) {
  write([](auto& entry) {
    if (entry.name == "logit_scale") entry.dtype = DType::i32;
    return true;
  });
  EXPECT_THROW(open(), Error);
}

TEST_F(CheckpointTest, ConvertingHalvesMatricesAndKeepsVectors) {
  const fs::path out = fs::temp_directory_path() / ("mii-converted-" + std::to_string(getpid()));
  convert_model(model_.folder(), vocabulary_, out, {.dtype = DType::bf16});
  const Checkpoint before =
      Checkpoint::open(ModelFolder::find(model_.folder()).weights, config_, vocabulary_);
  const Checkpoint after = Checkpoint::open(ModelFolder::find(out).weights, config_, vocabulary_);
  EXPECT_LT(after.file_bytes() * 10, before.file_bytes() * 6);
  EXPECT_EQ(after.tensor("image_encoder.norms.weight").dtype, DType::f32);
  for (const char* name :
       {"image_projection", "image_encoder.norms.bias", "lang_encoder.token_embedding.weight"}) {
    const TensorView a = before.tensor(name), b = after.tensor(name);
    std::vector<float> x(static_cast<size_t>(a.elements())), y(x.size());
    copy_as_float(a, name, x.data());
    copy_as_float(b, name, y.data());
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(y[i], b.dtype == DType::bf16 ? to_float(to_bfloat16(x[i])) : x[i]) << name << " " << i;
  }
  EXPECT_THROW(convert_model(out, vocabulary_, out, {}), Error);
  fs::remove_all(out);
}

// A folder of int8 in a place of its own.
class Int8Folder : public CheckpointTest {
 protected:
  void TearDown() override {
    fs::remove_all(out_);
    CheckpointTest::TearDown();
  }
  Checkpoint open_out() const {
    return Checkpoint::open(ModelFolder::find(out_).weights, config_, vocabulary_);
  }
  // Writes a value over the first factor of a layer.
  void set_first_scale(const std::string& layer, float value) const {
    const fs::path file = ModelFolder::find(out_).weights;
    const uint64_t header = 8 + header_bytes(file);
    const auto tensors = read_safetensors_header(WeightsFile::open(file), "test").tensors;
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    const uint64_t offset = tensors.find(scales_name(layer))->second.offset;
    EXPECT_GE(offset, header);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.write(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static uint64_t header_bytes(const fs::path& file) {
    uint64_t length = 0;
    std::ifstream(file, std::ios::binary).read(reinterpret_cast<char*>(&length), sizeof(length));
    return length;
  }

  const std::string layer_ = "image_encoder.blocks.0.0.spatial_block.ffn.fn.net.fc1.weight";
  fs::path out_ = fs::temp_directory_path() / ("mii-int8-" + std::to_string(getpid()));
};

TEST_F(Int8Folder, HasBytesForLayersAndFloatsForTheRest) {
  const std::string kept = "image_encoder.blocks.0.0.channel_block.ffn.fn.net.fc2.weight";
  convert_model(model_.folder(), vocabulary_, out_, {.dtype = DType::i8, .float_layers = {kept}});
  const Checkpoint checkpoint = open_out();
  EXPECT_TRUE(checkpoint.holds_int8());
  EXPECT_TRUE(checkpoint.warnings().empty());
  EXPECT_EQ(checkpoint.dtype(layer_), DType::i8);
  EXPECT_EQ(checkpoint.dtype(kept), DType::bf16);
  EXPECT_EQ(checkpoint.dtype("image_encoder.convs.0.proj.weight"), DType::f32);
  EXPECT_EQ(checkpoint.dtype("image_projection"), DType::f32);
  EXPECT_EQ(checkpoint.dtype("lang_encoder.token_embedding.weight"), DType::bf16);
}

TEST_F(Int8Folder, IsReadAsFloatsToHalfAStep) {
  convert_model(model_.folder(), vocabulary_, out_, {.dtype = DType::i8});
  const Checkpoint before =
      Checkpoint::open(ModelFolder::find(model_.folder()).weights, config_, vocabulary_);
  const Checkpoint after = open_out();
  const std::vector<float> scales = after.scales(layer_);
  const auto n = static_cast<size_t>(element_count(before.shape(layer_)));
  std::vector<float> x(n), y(n);
  before.copy_as(DType::f32, layer_, reinterpret_cast<std::byte*>(x.data()));
  after.copy_as(DType::f32, layer_, reinterpret_cast<std::byte*>(y.data()));
  for (size_t i = 0; i < n; ++i)
    ASSERT_LE(std::abs(x[i] - y[i]), 0.50001f * scales[i / (n / scales.size())]) << i;
}

TEST_F(Int8Folder, AFactorThatIsNoFactorIsRefused) {
  convert_model(model_.folder(), vocabulary_, out_, {.dtype = DType::i8});
  for (const float bad :
       {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    set_first_scale(layer_, bad);
    try {
      open_out().scales(layer_);
      ADD_FAILURE() << "accepted " << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::corrupt_weights);
      EXPECT_THAT(e.what(), HasSubstr(layer_ + "_scale"));
      EXPECT_THAT(e.what(), HasSubstr("position 0"));
    }
  }
}

TEST_F(Int8Folder, BytesWithoutFactorsAreRefused) {
  write([&](auto& entry) {
    if (entry.name == layer_) entry.dtype = DType::i8;
    return true;
  });
  try {
    open();
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr(layer_ + "_scale"));
  }
}

TEST_F(Int8Folder, BytesWhereFloatsBelongAreRefused) {
  write([](auto& entry) {
    if (entry.name == "image_projection") entry.dtype = DType::i8;
    return true;
  });
  EXPECT_THROW(open(), Error);
}

TEST(CopyAs, NamesTheFirstValueThatIsNotFinite) {
  for (const size_t n : {size_t{5000}, size_t{400000}})
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      std::vector<float> values(n, 1.0f), copy(n);
      values[4321] = values[n - 1] = bad;
      const TensorView view{
          reinterpret_cast<const std::byte*>(values.data()), DType::f32, {static_cast<int64_t>(n)}};
      std::vector<BFloat16> half(n);
      const auto expect = [&](const auto& call) {
        try {
          call();
          ADD_FAILURE() << "accepted";
        } catch (const Error& e) {
          EXPECT_THAT(e.what(), HasSubstr("'t' is not finite"));
          EXPECT_THAT(e.what(), HasSubstr("position 4321"));
        }
      };
      expect([&] { copy_as_float(view, "t", copy.data()); });
      expect([&] { copy_as_bfloat16(view, "t", half.data()); });
      expect([&] { expect_finite(view, "t"); });
    }
}

TEST(CopyAs, AFloatThatRoundsToInfinityIsRefused) {
  const float largest = std::numeric_limits<float>::max();
  BFloat16 to;
  EXPECT_THROW(copy_as_bfloat16({reinterpret_cast<const std::byte*>(&largest), DType::f32, {1}}, "t", &to),
               Error);
}

TEST(CopyAs, ConvertsHalfPrecisions) {
  const uint16_t f16[] = {0x3C00, 0xC000, 0x0001, 0x7BFF};  // 1, -2, 2^-24, 65504
  float values[4];
  copy_as_float({reinterpret_cast<const std::byte*>(f16), DType::f16, {4}}, "t", values);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], -2.0f);
  EXPECT_EQ(values[2], 0x1p-24f);
  EXPECT_EQ(values[3], 65504.0f);
  const uint16_t bf16[] = {0x3F80, 0xC040};  // 1, -3
  copy_as_float({reinterpret_cast<const std::byte*>(bf16), DType::bf16, {2}}, "t", values);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], -3.0f);
}

TEST(ModelFolder, NamesEverythingThatIsMissing) {
  const fs::path folder = fs::temp_directory_path() / ("mii-folder-" + std::to_string(getpid()));
  fs::create_directories(folder / "vision_model");
  std::ofstream(folder / "vision_model" / "a.safetensors") << "x";
  std::ofstream(folder / "vision_model" / "b.pt") << "x";
  try {
    ModelFolder::find(folder);
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_model);
    EXPECT_THAT(e.what(), HasSubstr("no config.yaml"));
    EXPECT_THAT(e.what(), HasSubstr("2 files"));
    EXPECT_THAT(e.what(), HasSubstr("no tokenizer"));
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace mii
