#include "core/json_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>

#include "mii/error.h"

namespace mii {
namespace {

using Style = JsonWriter::Style;

std::string all_kinds(Style style) {
  JsonWriter json(style);
  json.begin_object();
  json.member("text", "a\"b").member("double", 0.5).member("float", 0.1f).member("whole", 2.0);
  json.member("int", -3).member("size", SIZE_MAX).member("yes", true).member("null", nullptr);
  json.member("raw", RawJson{"{\"x\":[]}"});
  json.key("object").begin_object().end_object();
  json.key("objects").begin_array();
  json.begin_object().member("a", std::string("b")).end_object();
  json.begin_object().end_object();
  json.end_array();
  json.end_object();
  return json.finish();
}

TEST(JsonWriter, WritesEachKindOfValue) {
  EXPECT_EQ(all_kinds(Style::compact),
            R"({"text":"a\"b","double":0.5,"float":0.10000000149011612,"whole":2.0,"int":-3,)"
            R"("size":18446744073709551615,"yes":true,"null":null,"raw":{"x":[]},"object":{},)"
            R"("objects":[{"a":"b"},{}]})");
  EXPECT_EQ(all_kinds(Style::spaced),
            R"({"text": "a\"b", "double": 0.5, "float": 0.10000000149011612, "whole": 2.0, "int": -3, )"
            R"("size": 18446744073709551615, "yes": true, "null": null, "raw": {"x":[]}, "object": {}, )"
            R"("objects": [{"a": "b"}, {}]})");
}

TEST(JsonWriter, RangesAreArrays) {
  JsonWriter json(Style::spaced);
  json.begin_object();
  json.member("none", std::vector<int>{}).member("texts", std::vector<std::string>{"a", "b"});
  json.member("pairs", std::vector<std::array<double, 2>>{{1, 2}, {3, 4}});
  json.end_object();
  EXPECT_EQ(json.finish(), R"({"none": [], "texts": ["a", "b"], "pairs": [[1.0, 2.0], [3.0, 4.0]]})");
}

TEST(JsonWriter, WhatIsNotFiniteIsNull) {
  const double infinity = std::numeric_limits<double>::infinity();
  JsonWriter json(Style::compact);
  json.value(std::array{std::numeric_limits<double>::quiet_NaN(), infinity, -infinity});
  EXPECT_EQ(json.finish(), "[null,null,null]");
}

TEST(JsonWriter, GivesALongTextInPieces) {
  JsonWriter json(Style::compact);
  std::string text;
  json.begin_array();
  for (int i = 0; i < 3; ++i) {
    json.value(i);
    EXPECT_EQ(json.bytes(), 2u);
    text += json.take();
  }
  text += json.end_array().finish();
  EXPECT_EQ(text, "[0,1,2]");
}

TEST(JsonWriter, RefusesWhatWouldBeNoJson) {
  const std::vector<std::function<void(JsonWriter&)>> wrong{
      [](JsonWriter& json) { json.finish(); },
      [](JsonWriter& json) { json.begin_array().finish(); },
      [](JsonWriter& json) { json.value(1).value(2); },
      [](JsonWriter& json) {
        json.value(1).take();
        json.value(2);
      },
      [](JsonWriter& json) { json.value(1).begin_array(); },
      [](JsonWriter& json) { json.value(RawJson{""}); },
      [](JsonWriter& json) { json.key("a"); },
      [](JsonWriter& json) { json.begin_array().key("a"); },
      [](JsonWriter& json) { json.begin_object().value(1); },
      [](JsonWriter& json) { json.begin_object().key("a").key("b"); },
      [](JsonWriter& json) { json.begin_object().key("a").end_object(); },
      [](JsonWriter& json) { json.begin_object().end_array(); },
      [](JsonWriter& json) { json.begin_array().end_object(); },
      [](JsonWriter& json) { json.end_array(); },
  };
  for (size_t i = 0; i < wrong.size(); ++i) {
    JsonWriter json(Style::compact);
    try {
      wrong[i](json);
      ADD_FAILURE() << "case " << i << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::internal) << i;
    }
  }
}

}  // namespace
}  // namespace mii
