#include "onnx/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/number_text.h"
#include "onnx/export.h"
#include "onnx/graph_file.h"
#include "onnx/image_graph.h"
#include "onnx/onnx_weights.h"
#include "onnx/text_graph.h"
#include "procedural_model.h"

// Graphs of other makers (tests/onnx/make_graphs.py) and our own, as they are and damaged, become the weights
// that they were made of.

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const fs::path kData = fs::path(MII_TEST_DATA) / "onnx";

std::map<std::string, TensorSpec> by_name(const std::vector<TensorSpec>& specs) {
  std::map<std::string, TensorSpec> named;
  for (const TensorSpec& spec : specs) named.emplace(spec.name, spec);
  return named;
}

std::vector<float> formula(const TensorSpec& spec) {
  std::vector<float> values(static_cast<size_t>(element_count(spec.shape)));
  procedural_values(spec, 0, element_count(spec.shape), values.data());
  return values;
}

std::vector<float> rounded_to_half(std::vector<float> values) {
  for (float& value : values) value = to_float(to_float16(value));
  return values;
}

std::string bytes_of(const std::vector<float>& values, int type) {
  std::string bytes;
  const auto append = [&](const auto& bits) {
    bytes.append(reinterpret_cast<const char*>(&bits), sizeof bits);
  };
  for (const float value : values) {
    if (type == onnx::TensorProto::FLOAT)
      append(value);
    else if (type == onnx::TensorProto::FLOAT16)
      append(to_float16(value).bits);
    else
      append(to_bfloat16(value).bits);
  }
  return bytes;
}

std::vector<float> transposed(const std::vector<float>& values, int64_t rows, int64_t cols) {
  std::vector<float> other(values.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c)
      other[static_cast<size_t>(c * rows + r)] = values[static_cast<size_t>(r * cols + c)];
  return other;
}

template <typename Use>
void each_tensor(onnx::GraphProto& graph, const Use& use) {
  for (onnx::TensorProto& tensor : *graph.mutable_initializer()) use(tensor);
  for (onnx::NodeProto& node : *graph.mutable_node())
    for (onnx::AttributeProto& attribute : *node.mutable_attribute())
      if (attribute.has_t()) use(*attribute.mutable_t());
}

// Gives the model's tensors in a kept graph their values. Returns how many there are.
size_t fill(onnx::ModelProto& model, const std::vector<TensorSpec>& specs) {
  const auto named = by_name(specs);
  size_t filled = 0;
  each_tensor(*model.mutable_graph(), [&](onnx::TensorProto& tensor) {
    std::string name = tensor.doc_string();
    if (name.empty()) return;
    const bool turned = name.ends_with("^T");
    if (turned) name.resize(name.size() - 2);
    const TensorSpec& spec = named.at(name);
    std::vector<float> values = formula(spec);
    if (turned) values = transposed(values, spec.shape[0], spec.shape[1]);
    tensor.set_raw_data(bytes_of(values, tensor.data_type()));
    ++filled;
  });
  return filled;
}

class Import : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-import-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "graphs");
    vocabulary_ = ClipTokenizer::load(tokenizer_).vocabulary_size();
    source_ = {.config = ModelConfig::read(kData / "config.yaml"),
               .vocabulary_size = vocabulary_,
               .logit_scale = {}};
    specs_ = tensor_specs(source_.config, vocabulary_);
    const ModelConfig& config = source_.config;
    image_ = with_weights(
        "image.onnx", image_graph(config.image, config.embedding_dim, DType::f32, PixelInput::normalised));
    text_ = with_weights("text.onnx", text_graph(config.text, config.embedding_dim, DType::f32));
  }
  void TearDown() override { fs::remove_all(folder_); }

  // One of our own graphs in memory, as write_graph makes its file.
  GraphFile with_weights(const char* name, GraphBuilder builder) const {
    GraphFile file{folder_ / "graphs" / name, {}};
    const std::vector<GraphWeight> weights = builder.weights();
    *file.model.mutable_graph() = builder.take();
    const auto specs = by_name(specs_);
    for (const GraphWeight& weight : weights) {
      const TensorSpec& spec = specs.at(weight.name);
      onnx::TensorProto& tensor = *file.model.mutable_graph()->add_initializer();
      tensor.set_name(spec.name);
      tensor.set_data_type(onnx::TensorProto::FLOAT);
      for (const int64_t side : spec.shape) tensor.add_dims(side);
      tensor.set_raw_data(bytes_of(formula(spec), onnx::TensorProto::FLOAT));
    }
    onnx::StringStringEntryProto& entry = *file.model.add_metadata_props();
    entry.set_key("mii.logit_scale");
    entry.set_value(number_text(std::exp(4.6f)));
    return file;
  }

  // Writes a model folder, and an export of it.
  void write_export(const char* name, const OnnxExport& options) {
    if (!fs::exists(folder_ / "model"))
      write_procedural_model(kData / "config.yaml", tokenizer_, vocabulary_, folder_ / "model");
    export_onnx(folder_ / "model", vocabulary_, folder_ / name, options);
  }

  OnnxWeights weights() const { return OnnxWeights({image_, text_}, source_); }

  // A message of the error that opening and reading all tensors gives; empty for none.
  std::string message() const {
    try {
      OnnxWeights all = weights();
      for (const TensorSpec& spec : specs_) values(all, spec);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  static std::vector<float> values(OnnxWeights& weights, const TensorSpec& spec) {
    std::vector<float> values(static_cast<size_t>(element_count(spec.shape)));
    weights.copy_as(DType::f32, spec.name, reinterpret_cast<std::byte*>(values.data()));
    return values;
  }

  void expect_formula(OnnxWeights weights, bool half = false) const {
    for (const TensorSpec& spec : specs_) {
      const std::vector<float> expected = formula(spec);
      EXPECT_EQ(values(weights, spec), half ? rounded_to_half(expected) : expected) << spec.name;
    }
  }

  onnx::GraphProto& graph() { return *image_.model.mutable_graph(); }
  onnx::TensorProto& tensor(const std::string& name) {
    for (onnx::TensorProto& tensor : *graph().mutable_initializer())
      if (tensor.name() == name) return tensor;
    throw Error(ErrorCode::internal, "no " + name);
  }
  // The operator that takes a value as this input.
  onnx::NodeProto& taker(const std::string& value, int input = 1) {
    for (onnx::NodeProto& node : *graph().mutable_node())
      if (node.input_size() > input && node.input(input) == value) return node;
    throw Error(ErrorCode::internal, "nobody takes " + value);
  }
  onnx::NodeProto& operator_of(const std::string& type) {
    for (onnx::NodeProto& node : *graph().mutable_node())
      if (node.op_type() == type) return node;
    throw Error(ErrorCode::internal, "no " + type);
  }
  onnx::NodeProto& new_first_operator() {
    graph().add_node();
    for (int i = graph().node_size() - 1; i > 0; --i) graph().mutable_node()->SwapElements(i, i - 1);
    return *graph().mutable_node(0);
  }
  // Puts an operator between a tensor and who takes it as input 1.
  onnx::NodeProto& put_before_taker(const std::string& name, const std::string& op) {
    taker(name).set_input(1, name + "-behind");
    onnx::NodeProto& node = new_first_operator();
    node.set_op_type(op);
    node.add_input(name);
    node.add_output(name + "-behind");
    return node;
  }

  const fs::path tokenizer_ = golden_folder() / "tiny-a/language_model/clip_tokenizer_4.16.2";
  fs::path folder_;
  int64_t vocabulary_ = 0;
  OnnxSource source_;
  std::vector<TensorSpec> specs_;
  GraphFile image_, text_;
};

const std::string kFc1 = "image_encoder.blocks.0.0.spatial_block.ffn.fn.net.fc1.weight";
const std::string kFc1Bias = "image_encoder.blocks.0.0.spatial_block.ffn.fn.net.fc1.bias";

class ForeignGraph : public Import, public testing::WithParamInterface<const char*> {};
TEST_P(ForeignGraph, GivesTheWeightsThatItWasMadeOf) {
  GraphFile file{kData / GetParam(), read_graph_file(kData / GetParam())};
  ASSERT_EQ(fill(file.model, specs_), specs_.size() - 1);  // all but the temperature
  expect_formula(OnnxWeights({file}, source_), std::string(GetParam()).find("half") != std::string::npos);
}
INSTANTIATE_TEST_SUITE_P(Makers, ForeignGraph,
                         testing::Values("folded.onnx", "unfolded.onnx", "dynamo.onnx", "causal-half.onnx"));

TEST_F(Import, TakesATowerEachOfTwoMakers) {
  GraphFile images{kData / "images.onnx", read_graph_file(kData / "images.onnx")};
  fill(images.model, specs_);
  expect_formula(OnnxWeights({text_, images}, source_));
}

TEST_F(Import, FindsEveryTensorOfThePublishedSizeByShape) {
  const fs::path full = golden_folder() / "full";
  const int64_t vocabulary = 49408;
  const ModelConfig config = ModelConfig::read(full / "config.yaml");
  GraphFile file{kData / "full-half.onnx", read_graph_file(kData / "full-half.onnx")};
  const OnnxWeights weights({file}, {.config = config, .vocabulary_size = vocabulary, .logit_scale = {}});
  size_t compared = 0;
  for (const TensorSpec& spec : tensor_specs(config, vocabulary)) {
    const FoundTensor& found = weights.found(spec.name);
    if (spec.name == "logit_scale") continue;
    ASSERT_NE(found.tensor, nullptr) << spec.name;
    EXPECT_EQ(found.tensor->doc_string(), found.transposed ? spec.name + "^T" : spec.name);
    ++compared;
  }
  EXPECT_EQ(compared, 600u);
}

// Export and import: every tensor as it was, in half precision the operands of products rounded.
TEST_F(Import, OurOwnExportComesBackBitForBit) {
  write_export("own", {});
  write_export("bytes", {.preprocessing = true, .external_data = true, .metadata = {}, .progress = {}});
  for (const char* exported : {"own", "bytes"}) {
    const fs::path out = folder_ / (std::string(exported) + "-again");
    const std::vector<std::string> notes =
        import_onnx({.graphs = {folder_ / exported / "image.onnx", folder_ / exported / "text.onnx"},
                     .texts = ModelFolder::find(folder_ / "model"),
                     .vocabulary_size = vocabulary_,
                     .format = {},
                     .logit_scale = {}},
                    out);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_THAT(notes[0], HasSubstr("from the graph's metadata"));
    EXPECT_EQ(read_file(ModelFolder::find(out).weights, 1 << 24),
              read_file(ModelFolder::find(folder_ / "model").weights, 1 << 24));
  }
}

TEST_F(Import, OurOwnExportInHalfPrecisionComesBackRounded) {
  write_export("half", {.dtype = DType::f16, .metadata = {}, .progress = {}});
  OnnxWeights half = OnnxWeights::open({folder_ / "half/image.onnx", folder_ / "half/text.onnx"}, source_);
  for (const TensorSpec& spec : specs_) {
    const std::vector<float> found = values(half, spec), exact = formula(spec);
    if (spec.shape.size() == 2)
      EXPECT_EQ(found, rounded_to_half(exact)) << spec.name;
    else
      EXPECT_THAT(found, testing::AnyOf(exact, rounded_to_half(exact))) << spec.name;
  }
}

TEST_F(Import, DoesNotOverwriteTheFolderOfTheConfiguration) {
  write_export("own", {});
  const OnnxImport import{.graphs = {folder_ / "own/image.onnx", folder_ / "own/text.onnx"},
                          .texts = ModelFolder::find_texts(folder_ / "model"),
                          .vocabulary_size = vocabulary_,
                          .format = {},
                          .logit_scale = {}};
  EXPECT_THROW(import_onnx(import, folder_ / "model"), Error);
}

TEST_F(Import, FollowsOperatorsThatOnlyMoveAWeight) {
  put_before_taker(kFc1, "Identity");
  // Published as [out, in], taken as [in, out].
  onnx::NodeProto& product = taker(kFc1 + "-behind");
  product.clear_attribute();
  onnx::AttributeProto& permutation = *put_before_taker(kFc1 + "-behind", "Transpose").add_attribute();
  permutation.set_name("perm");
  permutation.add_ints(1);
  permutation.add_ints(0);
  graph().mutable_node()->SwapElements(0, 1);  // the first of the two is computed first
  put_before_taker("image_encoder.convs.0.norm.weight", "Cast");
  expect_formula(weights());
}

TEST_F(Import, ReadsConstantNodesTypedFieldsAndBfloat16) {
  onnx::TensorProto& typed = tensor(kFc1);
  const std::vector<float> numbers = formula(by_name(specs_).at(kFc1));
  typed.clear_raw_data();
  typed.mutable_float_data()->Add(numbers.begin(), numbers.end());
  expect_formula(weights());

  typed.clear_float_data();
  typed.set_data_type(onnx::TensorProto::BFLOAT16);
  for (const float number : numbers) typed.add_int32_data(to_bfloat16(number).bits);
  onnx::NodeProto& constant = new_first_operator();
  constant.set_op_type("Constant");
  constant.add_output("constant");
  onnx::AttributeProto& value = *constant.add_attribute();
  value.set_name("value");
  *value.mutable_t() = typed;
  taker(kFc1).set_input(1, "constant");
  OnnxWeights all = weights();
  const std::vector<float> found = values(all, by_name(specs_).at(kFc1));
  for (size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(found[i], to_float(to_bfloat16(numbers[i])));
}

TEST_F(Import, ABiasThatTheGraphLacksIsZero) {
  taker(kFc1).mutable_input()->RemoveLast();
  OnnxWeights all = weights();
  EXPECT_THAT(all.notes()[0], HasSubstr("'" + kFc1Bias + "'"));
  EXPECT_THAT(values(all, by_name(specs_).at(kFc1Bias)), testing::Each(0.0f));
}

TEST_F(Import, TheFactorOnTheCosineIsFoundOrAskedForOrNamed) {
  const auto factor = [&](OnnxWeights all) {
    return std::exp(values(all, by_name(specs_).at("logit_scale"))[0]);
  };
  EXPECT_FLOAT_EQ(factor(weights()), std::exp(4.6f));
  source_.logit_scale = 20;
  EXPECT_FLOAT_EQ(factor(weights()), 20);
  source_.logit_scale.reset();
  image_.model.clear_metadata_props();
  text_.model.clear_metadata_props();
  EXPECT_FLOAT_EQ(factor(weights()), 100);
  EXPECT_THAT(weights().notes()[0], HasSubstr("--logit-scale"));
  onnx::StringStringEntryProto& entry = *text_.model.add_metadata_props();
  entry.set_key("mii.logit_scale");
  entry.set_value("-3");
  EXPECT_THAT(message(), HasSubstr("expected a positive number"));
  for (const char* text : {"1e300", "1e-300"}) {
    entry.set_value(text);
    EXPECT_THAT(message(), HasSubstr("expected a positive number that float32 holds"));
  }
}

TEST_F(Import, AMissingTowerIsNamedAndOneTooMany) {
  const auto refusal = [&](std::vector<GraphFile> files) {
    try {
      OnnxWeights(std::move(files), source_);
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  EXPECT_THAT(refusal({image_}), HasSubstr("the text tower is missing"));
  EXPECT_THAT(refusal({text_}), HasSubstr("the image tower is missing"));
  EXPECT_THAT(refusal({image_, image_}), HasSubstr("has it too"));
}

TEST_F(Import, AnotherArchitectureIsRefusedWhereItBegins) {
  onnx::NodeProto& node = operator_of("Erf");
  node.set_op_type("Sigmoid");
  EXPECT_THAT(message(), AllOf(HasSubstr("image tower: expected a GELU after"),
                               HasSubstr("found a sigmoid (operator"), HasSubstr("'" + node.name() + "'")));
  node.set_op_type("Tanh");
  EXPECT_THAT(message(), HasSubstr("does not consist of: Tanh"));
  node.set_op_type("BiasGelu");
  node.set_domain("com.microsoft");
  EXPECT_THAT(message(), HasSubstr("BiasGelu (com.microsoft)"));
}

TEST_F(Import, AnotherShapeIsNamedWithItsPlace) {
  tensor(kFc1).set_dims(0, 30);
  EXPECT_THAT(message(), AllOf(HasSubstr("another shape than expected for '" + kFc1 + "' [32, 8]"),
                               HasSubstr("[30, 8]"), HasSubstr("Gemm")));
}

TEST_F(Import, AnotherStrideIsNamed) {
  for (onnx::AttributeProto& attribute : *operator_of("Conv").mutable_attribute())
    if (attribute.name() == "strides") attribute.set_ints(0, 3);
  EXPECT_THAT(message(),
              HasSubstr("strides [3, 4] of the convolution with 'image_encoder.convs.0.proj.weight'"));
}

TEST_F(Import, AGraphThatEndsEarlyOrGoesOnIsRefused) {
  const GraphFile whole = image_;
  graph().mutable_node()->RemoveLast();  // the length, its root and the projection
  graph().mutable_node()->RemoveLast();
  graph().mutable_node()->RemoveLast();
  EXPECT_THAT(message(), AllOf(HasSubstr("'image_projection'"), HasSubstr("the end of the graph")));
  image_ = whole;
  onnx::NodeProto& more = *graph().add_node();
  more.set_op_type("Mul");
  more.add_input("vectors");
  more.add_input("image_encoder.norms.weight");
  more.add_output("more");
  EXPECT_THAT(message(), HasSubstr("the tower ends with 'image_projection', found factors on channels"));
}

TEST_F(Import, ValuesThatAreNotGivenOrTwiceAreRefused) {
  const onnx::NodeProto node = operator_of("Erf");
  operator_of("Erf").set_input(0, node.output(0));  // its own
  EXPECT_THAT(message(), HasSubstr("takes '" + node.output(0) + "', which nothing before it gives"));
  operator_of("Erf").set_input(0, node.input(0));
  *graph().add_node() = node;
  EXPECT_THAT(message(), HasSubstr("gives the value '" + node.output(0) + "' twice"));
}

TEST_F(Import, DimensionsThatNoTensorHasAreRefused) {
  tensor(kFc1).set_dims(0, -32);
  EXPECT_THAT(message(), HasSubstr("has a dimension of -32"));
  tensor(kFc1).set_dims(0, std::numeric_limits<int64_t>::max());
  EXPECT_THAT(message(), HasSubstr("elements"));
}

TEST_F(Import, ValuesThatAreTooFewOrNoNumbersAreRefused) {
  std::string& raw = *tensor(kFc1).mutable_raw_data();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(raw.data() + 8, &nan, sizeof nan);
  EXPECT_THAT(message(), AllOf(HasSubstr(kFc1), HasSubstr("not finite"), HasSubstr("position 2")));
  raw.pop_back();
  EXPECT_THAT(message(), HasSubstr("has 1023 bytes, expected 1024"));
  tensor(kFc1).clear_raw_data();
  EXPECT_THAT(message(), HasSubstr("has 0 numbers, expected 256"));
  tensor(kFc1).set_data_type(onnx::TensorProto::INT8);
  EXPECT_THAT(message(), HasSubstr("'" + kFc1 + "'"));
}

class ExternalData : public Import {
 protected:
  // The message for a location, and what else is said of the data.
  std::string refusal(const std::string& location, const std::string& offset = "0",
                      const std::string& length = "1024") {
    onnx::TensorProto& moved = tensor(kFc1);
    moved.clear_raw_data();
    moved.clear_external_data();
    moved.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto say = [&](const char* key, const std::string& value) {
      onnx::StringStringEntryProto& entry = *moved.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    if (!location.empty()) say("location", location);
    if (!offset.empty()) say("offset", offset);
    if (!length.empty()) say("length", length);
    return message();
  }
};

TEST_F(ExternalData, IsReadFromBesideTheGraph) {
  const std::vector<float> numbers = formula(by_name(specs_).at(kFc1));
  fs::create_directories(folder_ / "graphs/data");
  write_file(folder_ / "graphs/data/fc1", "four" + bytes_of(numbers, onnx::TensorProto::FLOAT));
  EXPECT_EQ(refusal("data/fc1", "4"), "");
  EXPECT_EQ(refusal("./data/fc1", "4", ""), "");
  expect_formula(weights());
}

TEST_F(ExternalData, OutsideOfTheFolderIsRefused) {
  write_file(folder_ / "secret", std::string(1024, '\0'));
  EXPECT_THAT(refusal("../secret"), HasSubstr("outside of the graph's folder"));
  EXPECT_THAT(refusal("data/../../secret"), HasSubstr("outside of the graph's folder"));
  EXPECT_THAT(refusal((folder_ / "secret").string()), HasSubstr("expected a path below the graph's folder"));
  EXPECT_THAT(refusal(std::string("a\0b", 3)), HasSubstr("zero byte"));
  fs::create_symlink("../secret", folder_ / "graphs/link");
  EXPECT_THAT(refusal("link"), HasSubstr("behind a symbolic link"));
  fs::create_directory_symlink("..", folder_ / "graphs/up");
  EXPECT_THAT(refusal("up/secret"), HasSubstr("behind a symbolic link"));
  EXPECT_THAT(refusal(""), HasSubstr("without a location"));
  EXPECT_THAT(refusal("nothing"), HasSubstr("nothing"));
  fs::create_directories(folder_ / "graphs/data");
  EXPECT_THAT(refusal("data"), HasSubstr("data"));
}

TEST_F(ExternalData, BeyondTheFileOrOfAnotherSizeIsRefused) {
  write_file(folder_ / "graphs/data", std::string(1024, '\0'));
  EXPECT_EQ(refusal("data"), "");
  EXPECT_THAT(refusal("data", "4"), HasSubstr("which has 1024"));
  EXPECT_THAT(refusal("data", "18446744073709551615"), HasSubstr("which has 1024"));
  EXPECT_THAT(refusal("data", "-1"), HasSubstr("expected a number of bytes"));
  EXPECT_THAT(refusal("data", "99999999999999999999"), HasSubstr("expected a number of bytes"));
  EXPECT_THAT(refusal("data", "0", "1020"), HasSubstr("expected 1024"));
}

TEST_F(Import, AFileThatIsCutOffIsRefusedWhereverItEnds) {
  const std::string bytes = image_.model.SerializeAsString();
  for (size_t size = 0; size < bytes.size(); size += 997)
    EXPECT_THROW(
        OnnxWeights({{"f", parse_graph(std::as_bytes(std::span(bytes).first(size)), "f")}, text_}, source_),
        Error)
        << size;
}

TEST_F(Import, AFileBeyondTheLimitOfProtobufIsRefused) {
  write_file(folder_ / "large.onnx", "");
  fs::resize_file(folder_ / "large.onnx", uint64_t{1} << 31);  // a hole, no bytes on the disk
  EXPECT_THROW(
      try { read_graph_file(folder_ / "large.onnx"); } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("has 2147483648 bytes, an ONNX file has 2147483647 at the most"));
        throw;
      },
      Error);
}

TEST(GraphFile, NestingAndCountsBeyondAnyModelAreRefused) {
  const auto refusal = [](const std::string& bytes) {
    try {
      parse_graph(std::as_bytes(std::span(bytes)), "f");
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  const auto field = [](char tag, const std::string& bytes) {
    std::string message(1, tag);
    size_t size = bytes.size();
    for (; size >= 0x80; size >>= 7) message += static_cast<char>(size | 0x80);
    return message + static_cast<char>(size) + bytes;
  };
  // A graph in an attribute of an operator of a graph, and so on.
  std::string graph;
  for (int depth = 0; depth < 100; ++depth) graph = field(0x0A, field(0x2A, field(0x32, graph)));
  EXPECT_THAT(refusal(field(0x3A, graph)), HasSubstr("nested deeper"));
  std::string operators;
  for (int i = 0; i < 5'000'001; ++i) operators += std::string("\x0A\0", 2);
  EXPECT_THAT(refusal(field(0x3A, operators)), HasSubstr("more than 5000000 parts"));
  EXPECT_THAT(refusal(""), HasSubstr("no ONNX file"));
  EXPECT_THAT(refusal("GIF89a"), HasSubstr("no ONNX file"));
}

}  // namespace
}  // namespace mii
