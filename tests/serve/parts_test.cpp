// The parts that read what clients send, each alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "mii/error.h"
#include "serve/http.h"
#include "serve/json.h"
#include "serve/keys.h"
#include "serve/multipart.h"
#include "serve/request_id.h"
#include "serve/validation.h"
#include "serve/turns.h"
#include "serve/vector_forms.h"

namespace mii::serve {
namespace {

// Messages and offsets as json.loads of Python 3.11 gives them.
TEST(JsonFault, SpeaksAsPythonDoes) {
  const std::tuple<const char*, const char*, size_t> cases[] = {
      {"{", "Expecting property name enclosed in double quotes", 1},
      {"{\"a\":}", "Expecting value", 5},
      {"[1,", "Expecting value", 3},
      {"{\"a\":1,}", "Expecting property name enclosed in double quotes", 7},
      {"\"abc", "Unterminated string starting at", 0},
      {"{\"a\":\"\x01\"}", "Invalid control character at", 6},
      {"{\"a\":\"\\q\"}", "Invalid \\escape", 6},
      {"{\"images\":[],\"labels\":[]} x", "Extra data", 26},
      {"{\"a\":\"\\u12\"}", "Invalid \\uXXXX escape", 7},
      {" ", "Expecting value", 1},
      {"[1 2]", "Expecting ',' delimiter", 3},
      {"{\"a\" 1}", "Expecting ':' delimiter", 5},
      {"[\"\xc3\xbc\", x]", "Expecting value", 6},  // characters, not bytes
      {"01", "Extra data", 1},
      {"-", "Expecting value", 0}};
  for (const auto& [text, message, offset] : cases) {
    const JsonFault fault = find_json_fault(text, 32);
    EXPECT_EQ(fault.message, message) << text;
    EXPECT_EQ(fault.offset, offset) << text;
  }
  for (const char* text : {"{}", "[1,2.5e-3,null,true]", "\"\\u00fc\"", "NaN"})
    EXPECT_EQ(find_json_fault(text, 32).message, "") << text;
}

JsonBody read(std::string body, const Limits& limits = {}) {
  Request request;
  request.body = std::move(body);
  request.headers = {{"content-type", "application/json"}};
  return read_json(request, limits);
}

const Field kFields[] = {{.name = "images", .type = Field::Type::string_list, .required = true},
                         {.name = "labels", .type = Field::Type::string_list, .required = true},
                         {.name = "multilabel", .type = Field::Type::boolean}};

TEST(Validation, ListsAllErrorsAsFastApiDoes) {
  const auto text = [&](const char* body) { return to_json(validate(boost::json::parse(body), kFields)); };
  EXPECT_EQ(text("{}"), R"([{"type":"missing","loc":["body","images"],"msg":"Field required","input":{}},)"
                        R"({"type":"missing","loc":["body","labels"],"msg":"Field required","input":{}}])");
  EXPECT_EQ(
      text(R"({"images":{},"labels":["a",2.5e-3]})"),
      R"([{"type":"list_type","loc":["body","images"],"msg":"Input should be a valid list","input":{}},)"
      R"({"type":"string_type","loc":["body","labels",1],"msg":"Input should be a valid string","input":0.0025}])");
  EXPECT_EQ(
      text(R"({"images":[],"labels":[],"multilabel":null})"),
      R"([{"type":"bool_type","loc":["body","multilabel"],"msg":"Input should be a valid boolean","input":null}])");
  EXPECT_EQ(text(R"({"images":[],"labels":[],"multilabel":2})"),
            R"([{"type":"bool_parsing","loc":["body","multilabel"],)"
            R"("msg":"Input should be a valid boolean, unable to interpret input","input":2}])");
  EXPECT_EQ(text("[]"),
            R"([{"type":"model_attributes_type","loc":["body"],)"
            R"("msg":"Input should be a valid dictionary or object to extract fields from","input":[]}])");
  EXPECT_EQ(text(R"({"images":[],"labels":[],"multilabel":"Yes"})"), "[]");
  EXPECT_THAT(text(R"({"images":[],"labels":[],"multilabel":1e999})"), testing::HasSubstr("\"input\":null}"))
      << "infinity has no JSON";
}

TEST(Validation, BodiesThatAreNoJsonAreRefusedWithTheOffset) {
  const JsonBody body = read("{\"a\":}");
  ASSERT_TRUE(body.refusal);
  EXPECT_EQ(body.refusal->status, 422);
  EXPECT_EQ(body.refusal->body,
            R"({"detail":[{"type":"json_invalid","loc":["body",5],"msg":"JSON decode error","input":{},)"
            R"("ctx":{"error":"Expecting value"}}]})");
  EXPECT_EQ(read("{\"a\":\"\xff\"}").refusal->status, 400);
  EXPECT_EQ(read(std::string(40, '[') + std::string(40, ']')).refusal->status, 400);
  EXPECT_FALSE(read(std::string(30, '[') + std::string(30, ']')).refusal);
  EXPECT_EQ(read(std::string(1000000, '[')).refusal->status, 400);
  EXPECT_EQ(read("NaN").refusal->status, 422);
}

TEST(Validation, AnAnswerListsAHundredErrorsAtMost) {
  std::string zeros = "0";
  for (int i = 1; i < 1000; ++i) zeros += ",0";
  const auto errors =
      validate(read("{\"images\":[" + zeros + "],\"labels\":[" + zeros + "]}").value, kFields);
  EXPECT_EQ(errors.size(), kMaxErrors);
  EXPECT_EQ(to_json(errors.back().at("loc")), R"(["body","images",99])");
}

TEST(Validation, AnErrorShowsTheBeginningOfALongInput) {
  const auto shown = [](const std::string& json) {
    return to_json(validation_error("t", {}, "m", boost::json::parse(json)).at("input"));
  };
  const std::string fits(1024, 'a');
  EXPECT_EQ(shown('"' + fits + '"'), '"' + fits + '"');
  EXPECT_EQ(shown('"' + fits + "b\""), '"' + fits + "\xe2\x80\xa6\"");
  EXPECT_EQ(shown('"' + fits.substr(1) + "\xc3\xbc\""), '"' + fits.substr(1) + "\xe2\x80\xa6\"")
      << "no half letters";
  std::string zeros = "0";
  for (int i = 1; i < 99; ++i) zeros += ",0";
  EXPECT_EQ(shown('[' + zeros + ']'), '[' + zeros + ']') << "99 and the list itself";
  EXPECT_EQ(shown('[' + zeros + ",0]"), '[' + zeros + ",\"\xe2\x80\xa6\"]");
  EXPECT_EQ(shown("[\"" + fits + "\",{\"k\":1}]"), "[\"" + fits + "\",\"\xe2\x80\xa6\"]");
  EXPECT_EQ(shown("{\"" + fits + "\":1,\"b\":2}"), "{\"" + fits + "\":1,\"\xe2\x80\xa6\":\"\xe2\x80\xa6\"}");
}

TEST(Validation, ValuesAreCountedBeforeTheyTakeMemory) {
  // 1024 + 16 * (1 + 1), with the list itself.
  const Limits limits{.images = 1, .texts = 1};
  std::string zeros = "0";
  for (int i = 1; i < 1055; ++i) zeros += ",0";
  EXPECT_FALSE(read("[" + zeros + "]", limits).refusal);
  const JsonBody refused = read("[" + zeros + ",0]", limits);
  ASSERT_TRUE(refused.refusal);
  EXPECT_EQ(refused.refusal->status, 400);
  EXPECT_EQ(refused.refusal->body, R"({"detail":"The body's JSON has more than 1056 values and keys"})");
}

Form read_form(const std::string& body, const std::string& boundary, size_t max_parts, size_t piece) {
  MultipartReader reader(boundary, max_parts);
  for (size_t at = 0; at < body.size(); at += piece) reader.take(std::string_view(body).substr(at, piece));
  return reader.finish();
}

TEST(Multipart, ReadsFieldsAndFilesAndSkipsTheRest) {
  const std::string body =
      "preamble\r\n--B\r\nContent-Disposition: form-data; name=\"labels\"\r\n\r\nCT\r\n"
      "--B\r\nContent-Type: image/png\r\ncontent-disposition: FORM-DATA; filename=\"a;b\\\".png\"; "
      "name=images\r\n\r\n"
      "\r\n--b\r\n\r\n--B--\r\nepilogue";
  for (size_t piece = 1; piece <= body.size(); ++piece) {
    const Form form = read_form(body, "B", 8, piece);
    ASSERT_TRUE(form.well_formed) << piece;
    ASSERT_EQ(form.parts.size(), 2u) << piece;
    EXPECT_EQ(form.parts[0].name, "labels");
    EXPECT_EQ(form.parts[0].data, "CT");
    EXPECT_FALSE(form.parts[0].is_file);
    EXPECT_EQ(form.parts[1].name, "images");
    EXPECT_EQ(form.parts[1].data, "\r\n--b\r\n") << piece;
    EXPECT_TRUE(form.parts[1].is_file);
  }
  EXPECT_EQ(multipart_boundary("multipart/form-data; boundary=\"x y\""), "x y");
  EXPECT_EQ(multipart_boundary("multipart/form-data"), "");
}

TEST(Multipart, RefusesEveryCutOfABody) {
  const std::string body =
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\n"
      "Content-Disposition: form-data; name=\"a\"\r\n\r\n2\r\n--B--";
  const auto well_formed = [](const std::string& text, size_t max_parts) {
    return read_form(text, "B", max_parts, text.size() + 1).well_formed;
  };
  EXPECT_TRUE(well_formed(body, 2));
  EXPECT_FALSE(well_formed(body, 1)) << "more parts than allowed";
  for (size_t n = 0; n < body.size(); ++n) EXPECT_FALSE(well_formed(body.substr(0, n), 8)) << n;
}

TEST(Http, DecodesQueries) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(decode_query("a=1&b=x+y%20z&&c&d=%zz%4"),
            (Pairs{{"a", "1"}, {"b", "x y z"}, {"c", ""}, {"d", "%zz%4"}}));
}

TEST(Http, TellsUtf8FromOtherBytes) {
  for (const char* good : {"", "abc", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
    EXPECT_TRUE(is_plain_utf8(good));
  for (const char* bad : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"})
    EXPECT_FALSE(is_plain_utf8(bad));
  EXPECT_FALSE(is_plain_utf8(std::string_view("a\0b", 3)));
}

TEST(RequestId, TakesPlainWordsOnly) {
  EXPECT_EQ(request_id_of("abc-1.2_3"), "abc-1.2_3");
  for (const char* other : {"", "a b", "a\"b", "\xc3\xbc"}) {
    EXPECT_NE(request_id_of(other), other);
    EXPECT_EQ(request_id_of(other).size(), 32u);
  }
  EXPECT_NE(new_request_id(), new_request_id());
}

class KeysFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) {
    const auto path = std::filesystem::temp_directory_path() / ("mii-keys-" + std::to_string(getpid()));
    std::ofstream(path) << text;
    return path;
  }
};

TEST_F(KeysFile, HoldsHashesAsSha256sumPrintsThem) {
  // printf %s secret | sha256sum
  const auto path = write(
      "# two keys\n2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b  -\n\n"
      "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5\n");
  const Keys keys = Keys::read(path);
  EXPECT_EQ(keys.size(), 2u);
  EXPECT_TRUE(keys.accept("Bearer secret"));
  EXPECT_TRUE(keys.accept("bearer  12345"));
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer secret2", "secret", "Basic secret",
                            "Bearer 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"})
    EXPECT_FALSE(keys.accept(wrong)) << wrong;
  EXPECT_THROW(Keys::read(write("secret\n")), Error);
  EXPECT_THROW(Keys::read(write("# none\n")), Error);
  EXPECT_THROW(Keys::read("/nonexistent"), Error);
  EXPECT_TRUE(Keys().accept(""));
}

TEST_F(KeysFile, LetsAKeyWriteWhereItsLineSaysSo) {
  const std::string secret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
  const auto may_write = [&](const std::string& remark) {
    const Keys keys = Keys::read(write(secret + remark + "\n"));
    EXPECT_TRUE(keys.accept("Bearer secret")) << remark;
    EXPECT_FALSE(keys.may_write("Bearer other")) << remark;
    return keys.may_write("Bearer secret");
  };
  for (const char* reads : {"", "  -", " of the robot that may write", " scope=read", " # scope=write"})
    EXPECT_FALSE(may_write(reads)) << reads;
  for (const char* writes : {" scope=write", "  -  scope=write", " scope=write of the robot # 2026"})
    EXPECT_TRUE(may_write(writes)) << writes;
  EXPECT_THROW(Keys::read(write(secret + " scope=wirte\n")), Error);
}

// numpy.packbits(numpy.array(values) > 0) gives 0b10100011, 0b01100000.
TEST(VectorForms, SignsArePackedAsNumpyPacksBits) {
  const float values[] = {1, -1, 0.5f, 0, -0.0f, -3, 1e-30f, 2, -1, 4, 4};
  EXPECT_EQ(packed_signs(values), (std::vector<uint8_t>{0b10100011, 0b01100000}));
  JsonWriter json(JsonWriter::Style::compact);
  write_vector(json, values, VectorForm::binary);
  EXPECT_EQ(json.finish(), "[35,-32]");
}

TEST(VectorForms, IntegersAreScaledByTheLargestMagnitude) {
  const float values[] = {0.02f, -0.04f, 0, 0.0001f};
  EXPECT_EQ(scaled_to_int8(values), (std::vector<int8_t>{64, -127, 0, 0}));
  EXPECT_EQ(scaled_to_int8(std::vector<float>{0, 0}), (std::vector<int8_t>{0, 0}));
}

TEST(VectorForms, AShortenedVectorHasLengthOne) {
  Matrix rows(2, 3);
  std::ranges::copy(std::vector<float>{3, 4, 12, 0, 0, 1}, rows.values().begin());
  const Matrix shorter = shortened(std::move(rows), 2);
  EXPECT_THAT(shorter.row(0), testing::ElementsAre(0.6f, 0.8f));
  EXPECT_THAT(shorter.row(1), testing::ElementsAre(0, 0));
}

TEST(Turns, AreTakenUpToTheMostAndGivenBack) {
  const Turns turns(2);
  std::shared_ptr<void> first = turns.take();
  std::shared_ptr<void> copy = first;
  const std::shared_ptr<void> second = turns.take();
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(turns.take());
  first.reset();
  EXPECT_FALSE(turns.take()) << "a copy has it";
  copy.reset();
  EXPECT_TRUE(turns.take());
  EXPECT_EQ(turns_are_taken("x").status, 429);
}

}  // namespace
}  // namespace mii::serve
