// What the routes answer, by a model whose vectors tell what went in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>

#include "running_server.h"

namespace mii::serve {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ServeForms, FilesAndRawBodiesGiveWhatBase64Gives) {
  RunningServer server;
  Client client(server.port());
  const std::string expected = "{\"image_embeddings\":[[3.0,2.0]],\"text_embeddings\":null}";
  EXPECT_EQ(client.post("/encode", images_body({{3, 2}})).body, expected);
  EXPECT_EQ(client.post("/encode", pnm(3, 2), "Content-Type: image/x-portable-graymap\r\n").body, expected);
  EXPECT_EQ(client
                .post("/encode",
                      "--B\r\nContent-Disposition: form-data; name=\"images\"; filename=\"x\"\r\n\r\n" +
                          pnm(3, 2) + "\r\n--B--",
                      "Content-Type: multipart/form-data; boundary=B\r\n")
                .body,
            expected);
  EXPECT_EQ(client
                .post("/predict?labels=a&labels=bb&multilabel=yes", pnm(3, 2),
                      "Content-Type: application/dicom\r\n")
                .status,
            200);
  EXPECT_EQ(client.post("/predict", pnm(3, 2), "Content-Type: image/png\r\n").body,
            R"({"detail":[{"type":"missing","loc":["body","labels"],"msg":"Field required","input":null}]})");
  EXPECT_EQ(client.post("/predict?labels=%ff", pnm(3, 2), "Content-Type: image/png\r\n").status, 400);
  EXPECT_EQ(
      client.post("/encode", "--B\r\nbroken", "Content-Type: multipart/form-data; boundary=B\r\n").status,
      400);
}

std::string predict_body(const std::vector<std::string>& labels, const std::vector<std::string>& templates) {
  return boost::json::serialize(boost::json::value{{"images", {pnm_base64(2, 1)}},
                                                   {"labels", boost::json::value_from(labels)},
                                                   {"templates", boost::json::value_from(templates)}});
}

// The fake model's vectors are [bytes of the text, 0], and an image's are [width, height].
TEST(ServePredict, TemplatesAreAveragedIntoTheLabelsVector) {
  RunningServer server;
  Client client(server.port());
  const Reply plain = client.post("/predict", predict_body({"a", "bbb"}, {}));
  // exp(2 * 1) and exp(2 * 3)
  EXPECT_NEAR(boost::json::parse(plain.body).at("predictions").at(0).at("bbb").as_double(),
              1 / (1 + std::exp(-4)), 1e-7);
  const Reply reply = client.post("/predict", predict_body({"a", "bbb"}, {"{}!", "x {}"}));
  ASSERT_EQ(reply.status, 200) << reply.body;
  // Both means are [1, 0].
  EXPECT_EQ(reply.body, R"({"predictions":[{"a":0.5,"bbb":0.5}]})");
  EXPECT_EQ(client
                .post("/predict?labels=a&labels=bbb&templates=%7B%7D!&templates=x+%7B%7D", pnm(2, 1),
                      "Content-Type: image/x-portable-graymap\r\n")
                .body,
            reply.body);
}

TEST(ServePredict, KnownLabelsNeedNoTexts) {
  // More prompts than the engine remembers texts.
  ServeOptions options;
  options.limits.texts = 5000;
  RunningServer server(options);
  Client client(server.port());
  std::vector<std::string> labels;
  for (int k = 0; k < 2500; ++k) labels.push_back("label " + std::to_string(k));
  const size_t warm = server.fake->computed_texts();
  const Reply first = client.post("/predict", predict_body(labels, {"{}", "a {}"}));
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(server.fake->computed_texts(), warm + 5000);
  const Reply second = client.post("/predict", predict_body(labels, {"{}", "a {}"}));
  EXPECT_EQ(server.fake->computed_texts(), warm + 5000);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(client.post("/predict", predict_body(labels, {"{}"})).status, 200);
  EXPECT_EQ(server.fake->computed_texts(), warm + 7500) << "other templates are another head";
}

TEST(ServePredict, WrongTemplatesAreRefused) {
  ServeOptions options;
  options.limits.texts = 4;
  RunningServer server(options);
  Client client(server.port());
  const auto refused = [&](const std::vector<std::string>& labels,
                           const std::vector<std::string>& templates) {
    const Reply reply = client.post("/predict", predict_body(labels, templates));
    EXPECT_EQ(reply.status, 400) << reply.body;
    return std::string(boost::json::parse(reply.body).at("detail").as_string());
  };
  EXPECT_THAT(refused({"a"}, {"no place"}), HasSubstr("template 1 has 0 places"));
  EXPECT_THAT(refused({"a"}, {"{}", "{} {}"}), HasSubstr("template 2 has 2 places"));
  EXPECT_THAT(refused({"a", " "}, {"{}"}), HasSubstr("label 2 is empty"));
  EXPECT_EQ(refused({"a", "b", "c"}, {"{}", "x {}"}),
            "labels in templates are 6 prompts, at most 4 a request");
  EXPECT_EQ(refused({std::string(4096, 'a')}, {"{}"}),
            "labels in templates are 4098 bytes, at most 4096 a request");
  EXPECT_EQ(refused({"a"}, {"{}", "{}", "{}", "{}", "{}"}), "5 texts, at most 4 a request");
  EXPECT_EQ(client.post("/predict", predict_body({"a", "a"}, {"{}", "x {}"})).status, 200);
  EXPECT_EQ(
      client.post("/predict", R"({"images":["AA"],"labels":["a"],"templates":"{}"})").body,
      R"({"detail":[{"type":"list_type","loc":["body","templates"],"msg":"Input should be a valid list",)"
      R"("input":"{}"}]})");
}

TEST(ServeIdentity, AnswersOfTheModelNameIt) {
  RunningServer server;
  Client client(server.port());
  const auto fingerprint = [&](const std::string& path, const std::string& body) {
    return client.post(path, body).header("X-Model-Identity");
  };
  ASSERT_TRUE(eventually([&] { return !fingerprint("/encode", images_body({{1, 1}})).empty(); }));
  const Identity identity{"weights", "config", "tokenizer", "f32", "profile auto", "1"};
  EXPECT_EQ(fingerprint("/encode", images_body({{1, 1}})), identity.fingerprint());
  EXPECT_EQ(fingerprint("/predict", predict_body({"a"}, {})), identity.fingerprint());
  EXPECT_EQ(fingerprint("/v1/embeddings", R"({"model":"medimageinsight","input":"a"})"),
            identity.fingerprint());
  Identity standardised = identity;
  standardised.preprocessing = "profile auto; to 512 pixels and JPEG of quality 75";
  EXPECT_EQ(
      fingerprint("/score", R"({"input_data":{"columns":["image"],"data":[[")" + pnm_base64(1, 1) + "\"]]}}"),
      standardised.fingerprint());
  EXPECT_EQ(fingerprint("/encode", "{}"), "") << "an answer without the model";
  const auto entry = boost::json::parse(client.get("/v1/models").body).at("data").at(0);
  EXPECT_EQ(Identity::parse(boost::json::serialize(entry.at("identity"))), identity);
}

TEST(ServeIdentity, IsAbsentUntilTheFilesAreDigestedAndNobodyWaits) {
  auto fake = std::make_shared<FakeState>();
  fake->block_digest(true);
  RunningServer server({}, [&] { return std::make_unique<FakeModel>(fake); });
  Client client(server.port());
  const Reply early = client.post("/encode", images_body({{1, 1}}));
  EXPECT_EQ(early.status, 200);
  EXPECT_EQ(early.header("X-Model-Identity"), "");
  EXPECT_THAT(client.get("/v1/models").body, Not(HasSubstr("identity")));
  fake->block_digest(false);
  EXPECT_TRUE(eventually([&] {
    return !client.post("/encode", images_body({{1, 1}})).header("X-Model-Identity").empty();
  }));
}

TEST(ServeIdentity, AStopDoesNotWaitForTheDigest) {
  auto fake = std::make_shared<FakeState>();
  fake->block_digest(true);
  RunningServer server({}, [&] { return std::make_unique<FakeModel>(fake); });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(server.stop());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(ServeOpenai, AnswersAsOpenAiDoes) {
  RunningServer server;
  Client client(server.port());
  EXPECT_EQ(client.post("/v1/embeddings", R"({"model":"medimageinsight","input":["abc","a"]})").body,
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[3.0,0.0]},)"
            R"({"object":"embedding","index":1,"embedding":[1.0,0.0]}],"model":"medimageinsight",)"
            R"("usage":{"prompt_tokens":4,"total_tokens":4}})");
  EXPECT_THAT(
      client.post("/v1/embeddings", R"({"model":"medimageinsight","input":"abc","encoding_format":"base64"})")
          .body,
      HasSubstr("\"embedding\":\"AABAQAAAAAA=\""));
  EXPECT_THAT(client
                  .post("/v1/embeddings",
                        R"({"model":"medimageinsight","modality":"image","input":["data:image/x;base64,)" +
                            pnm_base64(2, 3) + "\"]}")
                  .body,
              HasSubstr("[2.0,3.0]"));
  const Reply missing = client.post("/v1/embeddings", R"({"model":"other","input":"a"})");
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(missing.body, HasSubstr("\"code\":\"model_not_found\""));
  for (const char* wrong :
       {"[]", "{", R"({"input":"a"})", R"({"model":"medimageinsight"})",
        R"({"model":"medimageinsight","input":[]})", R"({"model":"medimageinsight","input":[1,2]})",
        R"({"model":"medimageinsight","input":"a","dimensions":0})",
        R"({"model":"medimageinsight","input":"a","dimensions":3})",
        R"({"model":"medimageinsight","input":"a","dimensions":"1"})",
        R"({"model":"medimageinsight","input":"a","encoding_format":"bits"})",
        R"({"model":"medimageinsight","input":"http://127.0.0.1/x.png","modality":"image"})"}) {
    const Reply reply = client.post("/v1/embeddings", wrong);
    EXPECT_EQ(reply.status, 400) << wrong;
    EXPECT_THAT(reply.body, HasSubstr("{\"error\":{\"message\":")) << wrong;
  }
  for (const char* tokens : {"[1,2]", "[[1,2]]"})
    EXPECT_THAT(
        client.post("/v1/embeddings", std::string(R"({"model":"medimageinsight","input":)") + tokens + "}")
            .body,
        HasSubstr("lists of token ids are not supported"))
        << tokens;
  EXPECT_THAT(client.post("/v1/embeddings", R"({"model":"medimageinsight","input":7})").body,
              HasSubstr("'input' must be a string or a list of strings"));
  EXPECT_THAT(client.get("/v1/models").body, HasSubstr("\"id\":\"medimageinsight\""));
}

TEST(ServeOpenai, ShortensAndPacksWhereAClientAsksForIt) {
  RunningServer server;
  Client client(server.port());
  const auto embedding = [&](const std::string& members) {
    const std::string body =
        client.post("/v1/embeddings", R"({"model":"medimageinsight","input":"abc",)" + members + "}").body;
    const auto answer = boost::json::parse(body);
    return boost::json::serialize(answer.at("data").at(0).at("embedding"));
  };
  EXPECT_EQ(embedding(R"("dimensions":2)"), "[3E0,0E0]");
  EXPECT_EQ(embedding(R"("dimensions":1)"), "[1E0]");
  EXPECT_EQ(embedding(R"("dimensions":null,"encoding_format":"int8")"), "[127,0]");
  EXPECT_EQ(embedding(R"("encoding_format":"uint8")"), "[255,128]");
  EXPECT_EQ(embedding(R"("encoding_format":"ubinary")"), "[128]");
  EXPECT_EQ(embedding(R"("encoding_format":"binary")"), "[0]");
}

const std::string kEmbed = "/providers/microsoft/v2/embed";

TEST(ServeCohere, AnswersTextsAsCohereDoes) {
  RunningServer server;
  Client client(server.port());
  const Reply reply = client.post(
      kEmbed,
      R"({"model":"medimageinsight","texts":["abc","a"],"input_type":"search_query","truncate":"END",)"
      R"("embedding_types":["float","base64","int8","uint8","binary","ubinary","float"]})",
      "X-Request-Id: one\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"id":"one","texts":["abc","a"],"embeddings":{"float":[[3.0,0.0],[1.0,0.0]],)"
                        R"("base64":["AABAQAAAAAA=","AACAPwAAAAA="],"int8":[[127,0],[127,0]],)"
                        R"("uint8":[[255,128],[255,128]],"binary":[[0],[0]],"ubinary":[[128],[128]]},)"
                        R"("meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":4}},)"
                        R"("response_type":"embeddings_by_type"})");
}

TEST(ServeCohere, AnswersImagesOfDataUris) {
  RunningServer server;
  Client client(server.port());
  for (const char* type : {"image/png", "application/dicom", "application/octet-stream"}) {
    const Reply reply = client.post(kEmbed, std::string(R"({"model":"medimageinsight","images":["data:)") +
                                                type + ";base64," + pnm_base64(2, 3) + R"("]})");
    EXPECT_THAT(reply.body, HasSubstr(R"("embeddings":{"float":[[2.0,3.0]]})")) << type;
    EXPECT_THAT(reply.body, HasSubstr(R"("billed_units":{"images":1})")) << type;
    EXPECT_THAT(reply.body, Not(HasSubstr("texts"))) << type;
  }
  EXPECT_THAT(
      client
          .post(kEmbed, R"({"model":"medimageinsight","output_dimension":1,"images":["data:image/x;base64,)" +
                            pnm_base64(2, 3) + R"("]})")
          .body,
      HasSubstr(R"("float":[[1.0]])"));
}

TEST(ServeCohere, RefusesWithAMessage) {
  ServeOptions options;
  options.limits.texts = 3;
  RunningServer server(options);
  Client client(server.port());
  const std::string image = R"(["data:image/x;base64,)" + pnm_base64(1, 1) + R"("])";
  const std::pair<std::string, const char*> cases[] = {
      {"[]", "JSON object"},
      {"{", "not JSON"},
      {R"({"texts":["a"]})", "'model'"},
      {R"({"model":"medimageinsight"})", "either 'texts' or 'images'"},
      {R"({"model":"medimageinsight","texts":["a"],"images":)" + image + "}", "not both"},
      {R"({"model":"medimageinsight","texts":"a"})", "'texts' must be a list"},
      {R"({"model":"medimageinsight","texts":[]})", "'texts' must be a list that is not empty"},
      {R"({"model":"medimageinsight","texts":["a",1]})", "'texts[1]' must be a string"},
      {R"({"model":"medimageinsight","texts":["a","a","a","a"]})", "4 texts, at most 3"},
      {R"({"model":"medimageinsight","texts":["a"],"embedding_types":[]})",
       "'embedding_types' must be a list"},
      {R"({"model":"medimageinsight","texts":["a"],"embedding_types":["float","bits"]})",
       "'embedding_types[1]' must be 'float'"},
      {R"({"model":"medimageinsight","texts":["a"],"output_dimension":3})",
       "'output_dimension' must be 1 to 2"},
      {R"({"model":"medimageinsight","texts":["a"],"truncate":"NONE"})", "'truncate'"},
      {R"({"model":"medimageinsight","texts":["a"],"input_type":1})", "'input_type'"},
      {R"({"model":"medimageinsight","images":[")" + pnm_base64(1, 1) + R"("]})",
       "'images[0]' must be a data URI"},
      {R"({"model":"medimageinsight","images":["http://127.0.0.1/x.png"]})",
       "'images[0]' must be a data URI"},
      {R"({"model":"medimageinsight","images":["data:image/png,x"]})", "'images[0]' must be a data URI"},
      {R"({"model":"medimageinsight","images":["data:text/plain;base64,YWJj"]})",
       "'images[0]' is a text by its type"},
      {R"({"model":"medimageinsight","images":["data:;base64,YWJj"]})", "'images[0]' is a text by its type"},
      {R"({"model":"medimageinsight","inputs":[],"texts":["a"]})", "'inputs' is not taken here"},
      {R"({"model":"medimageinsight","images":["data:image/png;base64,YWJj"]})", "image"},
  };
  for (const auto& [body, words] : cases) {
    const Reply reply = client.post(kEmbed, body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, testing::StartsWith("{\"message\":")) << body;
    EXPECT_THAT(reply.body, HasSubstr(words)) << body;
  }
  const Reply other = client.post(kEmbed, R"({"model":"other","texts":["a"]})");
  EXPECT_EQ(other.status, 404);
  EXPECT_THAT(other.body, HasSubstr("this service has 'medimageinsight'"));
}

TEST(ServeCohere, Takes1024TextsAndNoMore) {
  RunningServer server;
  Client client(server.port());
  const auto ask = [&](size_t n) {
    std::string texts = "\"x\"";
    for (size_t i = 1; i < n; ++i) texts += ",\"x\"";
    return client.post(kEmbed, R"({"model":"medimageinsight","texts":[)" + texts + "]}");
  };
  EXPECT_EQ(ask(1024).status, 200);
  EXPECT_EQ(ask(1025).body, R"({"message":"1025 texts, at most 1024 a request"})");
}

TEST(ServeScore, AnswersRowByRowWithTheLogTemperature) {
  RunningServer server;
  Client client(server.port());
  const Reply reply = client.post(
      "/score",
      R"({"input_data":{"columns":["image","text"],"index":[0,1],"data":[["","abc"],{"image":")" +
          pnm_base64(4, 4) +
          R"(","text":"a"}]},"params":{"get_scaling_factor":true,"image_standardization_image_size":16}})");
  EXPECT_EQ(reply.body,
            R"([{"text_features":[3.0,0.0],"scaling_factor":0.0},)"
            R"({"image_features":[[16.0,16.0]],"text_features":[1.0,0.0],"scaling_factor":0.0}])");
  for (
      const char* wrong :
      {"{}", "[]", R"({"input_data":{}})", R"({"input_data":{"columns":["x"],"data":[[]]}})",
       R"({"input_data":{"columns":["text"],"data":[]}})",
       R"({"input_data":{"columns":["text"],"data":[["a","b"]]}})",
       R"({"input_data":{"columns":["text"],"data":[[1]]}})",
       R"({"input_data":{"columns":["text"],"data":[[""]]}})",
       R"({"input_data":{"columns":["text"],"data":[["a"]]},"params":{"image_standardization_image_size":1e9}})"}) {
    const Reply refused = client.post("/score", wrong);
    EXPECT_EQ(refused.status, 400) << wrong;
    EXPECT_THAT(refused.body, HasSubstr("{\"detail\":\"")) << wrong;
  }
}

TEST(ServePages, WithoutTheirScriptsTheySaySo) {
  RunningServer server;
  Client client(server.port());
  EXPECT_THAT(client.get("/docs").body, HasSubstr("without the scripts"));
  EXPECT_EQ(client.get("/docs/swagger-ui.css").status, 404);
  const auto document = boost::json::parse(client.get("/openapi.json").body);
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  for (const char* path : {"/predict", "/encode", "/health", "/v1/embeddings", "/v1/models", "/score",
                           kEmbed.c_str(), "/livez", "/readyz", "/metrics"})
    EXPECT_TRUE(document.at("paths").as_object().contains(path)) << path;
}

}  // namespace
}  // namespace mii::serve
