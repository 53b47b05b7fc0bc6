// What clients send, from any bytes: the first picks the route and the kind of body, the rest is query, a
// line break, and the body. Every answer must be JSON with a status that the OpenAPI document names.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>

#include "mii/error.h"
#include "serve/body_reader.h"
#include "serve/cohere_api.h"
#include "serve/fake_model.h"
#include "serve/json.h"
#include "serve/openai_api.h"
#include "serve/reference_api.h"
#include "serve/score_api.h"

namespace {

using namespace mii;
using namespace mii::serve;

constexpr const char* kTypes[] = {"application/json", "multipart/form-data; boundary=B", "image/png",
                                  "text/plain"};
using Handler = Outcome (*)(Request&, const ApiContext&);
constexpr Handler kHandlers[] = {predict, encode, embeddings, score, embed};

void expect(bool condition) {
  if (!condition) std::abort();
}

void check_answer(const Response& response) {
  constexpr int kStatuses[] = {200, 400, 404, 415, 422};
  expect(std::ranges::find(kStatuses, response.status) != std::end(kStatuses));
  boost::json::error_code error;
  boost::json::parse_options options;
  options.max_depth = 64;
  options.allow_invalid_utf8 = false;
  boost::json::parse(response.body, error, {}, options);
  expect(!error);
}

// A client's fault that is thrown becomes a 400 in the words of the API.
Outcome answer(Handler handler, Request& request, const ApiContext& context) {
  try {
    return handler(request, context);
  } catch (const Error& error) {
    expect(error.code() == ErrorCode::invalid_argument);
    return detail_error(400, error.what());
  }
}

// What the fast parser takes, Python's scanner takes too.
void check_parsers(std::string_view text) {
  boost::json::error_code error;
  boost::json::parse(text, error);
  if (!error) expect(find_json_fault(text, 64).message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const FakeModel model(std::make_shared<FakeState>());
  static const Limits limits{.images = 4, .texts = 4, .text_bytes = 64};
  static const std::string name = "medimageinsight";
  static const labels::Catalogue catalogue = labels::Catalogue::built_in();
  HeadCache heads;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t line = std::min(text.find('\n'), text.size());
  const std::string_view body = text.substr(std::min(line + 1, text.size()));
  check_parsers(body);
  Request request;
  request.query = text.substr(0, line);
  request.headers = {{"content-type", kTypes[data[0] / 5 % 4]}};
  // However it is cut, it is the same body.
  const size_t piece = 1 + data[0] / 20;
  BodyReader reader(request, true, limits);
  for (size_t at = 0; at < body.size(); at += piece) reader.take(body.substr(at, piece));
  reader.finish(request);

  Outcome outcome = answer(kHandlers[data[0] % 5], request, {model, limits, name, heads, catalogue});
  if (const auto* response = std::get_if<Response>(&outcome)) {
    check_answer(*response);
    return 0;
  }
  const Work& work = std::get<Work>(outcome);
  expect(work.images.size() + work.texts.size() > 0);
  Matrix images(work.images.size(), 2), texts(work.texts.size(), 2);
  check_answer(work.answer(std::move(images), std::move(texts)));
  return 0;
}
