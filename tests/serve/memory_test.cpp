// What a body costs: every allocation of the process is counted while a handler reads it.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "fake_model.h"
#include "core/base64.h"
#include "mii/error.h"
#include "serve/body_reader.h"
#include "serve/cohere_api.h"
#include "serve/openai_api.h"
#include "serve/reference_api.h"
#include "serve/score_api.h"

namespace {

std::atomic<size_t> live_bytes = 0, peak_bytes = 0;

void* counted(size_t bytes) {
  void* place = std::malloc(bytes);
  if (place == nullptr) throw std::bad_alloc();
  const size_t now = live_bytes += malloc_usable_size(place);
  size_t peak = peak_bytes;
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
  return place;
}

void uncounted(void* place) {
  if (place != nullptr) live_bytes -= malloc_usable_size(place);
  std::free(place);
}

}  // namespace

void* operator new(size_t bytes) { return counted(bytes); }
void* operator new[](size_t bytes) { return counted(bytes); }
void operator delete(void* place) noexcept { uncounted(place); }
void operator delete[](void* place) noexcept { uncounted(place); }
void operator delete(void* place, size_t) noexcept { uncounted(place); }
void operator delete[](void* place, size_t) noexcept { uncounted(place); }

namespace mii::serve {
namespace {

constexpr size_t kBodyBytes = 4 << 20;
constexpr size_t kPiece = 64 << 10;
// What the limits allow whatever the body: values, parts, errors.
constexpr size_t kConstantBytes = 4 << 20;

std::string repeated(const std::string& begin, const std::string& unit, const std::string& end) {
  std::string text = begin;
  text.reserve(kBodyBytes);
  while (text.size() + unit.size() + end.size() <= kBodyBytes) text += unit;
  return text + end;
}

struct Body {
  const char* name;
  const char* type;
  std::string text;
};

constexpr const char* kJson = "application/json";
constexpr const char* kForm = "multipart/form-data; boundary=B";

// n labels in n templates, each with this text.
std::string prompts(size_t n, const std::string& text) {
  std::string labels, templates;
  for (size_t i = 0; i < n; ++i) {
    labels += (i == 0 ? "\"" : ",\"") + text + "\"";
    templates += (i == 0 ? "\"{}" : ",\"{}") + text + "\"";
  }
  return R"({"images":["AA"],"labels":[)" + labels + R"(],"templates":[)" + templates + "]}";
}

std::vector<Body> hostile_bodies() {
  const std::string part = "--B\r\nContent-Disposition: form-data; name=\"labels\"\r\n\r\na\r\n";
  const std::string long_part =
      "--B\r\nContent-Disposition: form-data; name=\"" + std::string(8000, 'n') + "\"\r\n\r\na\r\n";
  const std::string nested = std::string(1, ',').append(30, '[').append(30, ']');
  const std::string long_key = std::string(",\"").append(4000, 'k').append("\":0");
  const std::string long_text = std::string(",\"").append(100'000, 'A').append("\"");
  const std::string longest_text = std::string(",\"").append(Limits().text_bytes, 'A').append("\"");
  return {{"zeros", kJson, repeated("[0", ",0", "]")},
          {"zeros for images", kJson, repeated("{\"images\":[0", ",0", "]}")},
          {"empty strings", kJson, repeated("{\"images\":[],\"labels\":[\"\"", ",\"\"", "]}")},
          {"empty lists", kJson, repeated("[[]", ",[]", "]")},
          {"empty objects", kJson, repeated("{\"images\":[{}", ",{}", "]}")},
          {"keys", kJson, repeated("{\"\":0", ",\"\":0", "}")},
          {"long keys", kJson, repeated("{\"a\":0", long_key, "}")},
          {"deep", kJson, std::string(kBodyBytes, '[')},
          {"deep within the limit", kJson, repeated("[0", nested, "]")},
          {"one long text", kJson, repeated("{\"images\":[\"", "A", "\"],\"labels\":[\"a\"]}")},
          {"many long texts", kJson, repeated("{\"images\":[\"\"", long_text, "],\"labels\":[\"a\"]}")},
          {"escapes", kJson, repeated("{\"images\":[\"", "\\n", "\"],\"labels\":[\"a\"]}")},
          {"long escapes", kJson, repeated("{\"images\":[\"", "\\u20ac", "\"],\"labels\":[\"a\"]}")},
          {"a long text where a list belongs", kJson, repeated("{\"images\":\"", "A", "\"}")},
          {"a long text that is not asked for", kJson, repeated("{\"x\":\"", "A", "\"}")},
          {"a text as the body", kJson, repeated("\"", "A", "\"")},
          {"no end", kJson, repeated("{\"images\":[\"", "A", "")},
          {"a long number", kJson, repeated("[0.", "1", "]")},
          {"blanks", kJson, repeated("", " ", "{}")},
          {"another kind of body", "text/plain", repeated("", "A", "")},
          {"parts", kForm, repeated("", part, "--B--")},
          {"parts with long names", kForm, repeated("", long_part, "--B--")},
          {"a long part", kForm,
           repeated("--B\r\nContent-Disposition: form-data; name=\"labels\"\r\n\r\n", "a", "\r\n--B--")},
          {"a long part that is no boolean", kForm,
           repeated("--B\r\nContent-Disposition: form-data; name=\"multilabel\"\r\n\r\n", "a", "\r\n--B--")},
          {"boundaries without end", kForm, repeated("", "--B\r\n", "")},
          {"prompts", kJson, prompts(1024 / 32, std::string(2000, 'a'))},
          {"many prompts", kJson, prompts(1024 / 32, std::string(450, 'a'))},
          {"texts of the longest", kJson,
           repeated(R"({"model":"medimageinsight","texts":["")", longest_text, "]}")},
          {"a long data URI", kJson,
           repeated(R"({"model":"medimageinsight","images":["data:image/png;base64,)", "A", "\"]}")},
          {"an image", "image/png", repeated("", "A", "")}};
}

using Handler = Outcome (*)(Request&, const ApiContext&);

// A refusal that is thrown becomes an answer, as in the service.
Outcome answer(Handler handler, Request& request, const ApiContext& context) {
  try {
    return handler(request, context);
  } catch (const Error& error) {
    return detail_error(400, error.what());
  }
}

TEST(ServeMemory, ABodyTakesThreeTimesItsBytesAtMost) {
  const FakeModel model(std::make_shared<FakeState>());
  const Limits limits;
  const std::string name = "medimageinsight";
  HeadCache heads;
  const labels::Catalogue catalogue = labels::Catalogue::built_in();
  const std::pair<const char*, Handler> handlers[] = {{"predict", predict},
                                                      {"encode", encode},
                                                      {"embeddings", embeddings},
                                                      {"score", score},
                                                      {"embed", embed}};
  for (const Body& body : hostile_bodies())
    for (const auto& [route, handler] : handlers) {
      const size_t before = peak_bytes = live_bytes.load();
      Request request;
      request.headers = {{"content-type", body.type}};
      BodyReader reader(request, handler == predict || handler == encode, limits);
      for (size_t at = 0; at < body.text.size(); at += kPiece)
        reader.take(std::string_view(body.text).substr(at, kPiece));
      reader.finish(request);
      const Outcome outcome = answer(handler, request, {model, limits, name, heads, catalogue});
      EXPECT_LE(peak_bytes - before, 3 * body.text.size() + kConstantBytes) << body.name << " on " << route;
      const auto* response = std::get_if<Response>(&outcome);
      if (response != nullptr) {
        EXPECT_LE(response->body.size(), size_t{1} << 20) << body.name << " on " << route;
      }
    }
}

TEST(ServeMemory, Base64OfBlanksTakesNoMoreThanItsText) {
  const std::string blanks = repeated("AA", "\n", "AA");
  const size_t before = live_bytes;
  peak_bytes = before;
  EXPECT_EQ(decode_base64(blanks).size(), 3u);
  EXPECT_LE(peak_bytes - before, blanks.size());
}

}  // namespace
}  // namespace mii::serve
