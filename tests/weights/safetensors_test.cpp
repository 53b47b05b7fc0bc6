#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "mii/error.h"

namespace mii {
namespace {

using testing::HasSubstr;

std::vector<std::byte> file_of(const std::string& header, size_t data_bytes, uint64_t stated_length) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  std::memcpy(bytes.data(), &stated_length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}
std::vector<std::byte> file_of(const std::string& header, size_t data_bytes) {
  return file_of(header, data_bytes, header.size());
}

std::string refusal(const std::vector<std::byte>& bytes) {
  try {
    parse_safetensors(bytes, "f.safetensors");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_weights);
    EXPECT_THAT(e.what(), HasSubstr("f.safetensors"));
    return e.what();
  }
  return "accepted";
}

TEST(Safetensors, ReadsWhatItsWriterWrote) {
  const auto path =
      std::filesystem::temp_directory_path() / ("mii-" + std::to_string(getpid()) + ".safetensors");
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  SafetensorsWriter writer(path,
                           {{"b", DType::f32, {2, 3}}, {"a", DType::u8, {3}}, {"scalar", DType::f32, {}}},
                           {{"k", "v \"q\""}});
  writer.write(std::as_bytes(std::span(values)));
  writer.write(std::as_bytes(std::span("xyz", 3)));
  writer.write(std::as_bytes(std::span(values).first(1)));
  writer.commit();
  const MappedFile file = MappedFile::open(path);
  const Safetensors read = parse_safetensors(file.bytes(), "f");
  EXPECT_EQ(read.tensors.at("b").shape, (Shape{2, 3}));
  EXPECT_EQ(std::memcmp(read.tensors.at("b").data.data(), values.data(), 24), 0);
  EXPECT_EQ(std::memcmp(read.tensors.at("a").data.data(), "xyz", 3), 0);
  EXPECT_EQ(read.tensors.at("scalar").shape, Shape{});
  EXPECT_EQ(read.metadata.at("k"), "v \"q\"");
  std::filesystem::remove(path);
}

TEST(Safetensors, AnUnfinishedFileIsNeverNamed) {
  const auto path = std::filesystem::temp_directory_path() / ("mii-unfinished-" + std::to_string(getpid()));
  {
    SafetensorsWriter writer(path, {{"a", DType::f32, {2}}});
    EXPECT_THROW(writer.commit(), Error);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Safetensors, TooShortOrLongHeader) {
  EXPECT_NE(refusal({}), "accepted");
  EXPECT_NE(refusal(std::vector<std::byte>(7)), "accepted");
  EXPECT_NE(refusal(file_of("{}", 0, 3)), "accepted");
  EXPECT_NE(refusal(file_of("{}", 0, UINT64_MAX)), "accepted");
  EXPECT_NE(refusal(file_of("{}", 0, UINT64_MAX - 8)), "accepted");
}

TEST(Safetensors, EscapesInTheHeaderAreRead) {
  const std::string header =
      R"({ "__metadata__" : {"k\u00e9\n" : "\ud83d\ude00\"\/"} , "t\\":{"shape":[ ],"dtype":"F32","data_offsets":[0, 4]} } )";
  const auto bytes = file_of(header, 4);
  const Safetensors file = parse_safetensors(bytes, "f");
  EXPECT_EQ(file.metadata.at("k\xC3\xA9\n"), "\xF0\x9F\x98\x80\"/");
  EXPECT_TRUE(file.tensors.at("t\\").shape.empty());
}

struct Damage {
  const char* what;
  const char* header;
  size_t data_bytes;
};
void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.what; }  // NOLINT: gtest's name

class DamagedHeader : public testing::TestWithParam<Damage> {};
TEST_P(DamagedHeader, IsRefused) {
  EXPECT_NE(refusal(file_of(GetParam().header, GetParam().data_bytes)), "accepted");
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DamagedHeader,
    testing::Values(
        Damage{"not JSON", "{\"a\":", 0}, Damage{"a list", "[]", 0},
        Damage{"a tensor that is a number", R"({"a":1})", 0},
        Damage{"no dtype", R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4},
        Damage{"unknown dtype", R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", 4},
        Damage{"negative size", R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4},
        Damage{"fractional size", R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4},
        Damage{"overflow", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}})",
               4},
        Damage{"overflow to the right size",
               R"({"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})", 4},
        Damage{"offsets beyond the file", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4},
        Damage{"offsets reversed", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4},
        Damage{"negative offset", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4},
        Damage{"one offset", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}})", 4},
        Damage{"size does not fit", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4},
        Damage{"gap", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8},
        Damage{"data left over", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8},
        Damage{
            "overlap",
            R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
            4},
        Damage{
            "same name twice",
            R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
            4},
        Damage{"half a surrogate pair", R"({"__metadata__":{"k":"\ud83d"}})", 0},
        Damage{"unknown escape", R"({"__metadata__":{"k":"\x"}})", 0},
        Damage{"leading zero", R"({"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}})", 4},
        Damage{"something after the end", "{}{}", 0}, Damage{"an unclosed text", R"({"a)", 0},
        Damage{"unknown member", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4},
        Damage{"metadata that is no text", R"({"__metadata__":{"k":1}})", 0}));

}  // namespace
}  // namespace mii
