// Collections over HTTP: search, items, scopes, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "medical/dicom_writer.h"
#include "mii/error.h"
#include "running_server.h"
#include "search/audit.h"
#include "search/folder_collection.h"
#include "serve/service.h"

namespace mii::serve {
namespace {

namespace fs = std::filesystem;
namespace bj = boost::json;
using search::FolderCollection;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// The fake model's vectors are an image's width and height, and (length, 0) for a text.
const Identity kIdentity{"weights", "config", "tokenizer", "f32", "profile auto", "1"};

class ServeCollections : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-serve-collections-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "no collection");
    make("shapes");
    options_.collections_folder = folder_;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void make(const std::string& name, const Identity& identity = kIdentity) {
    FolderCollection::create(folder_ / name);
    FolderCollection writer(folder_ / name, FolderCollection::Access::write);
    Matrix vectors(4, 2);
    const float values[] = {1, 0, 0.8f, 0.6f, 0.6f, 0.8f, 0, 1};
    std::ranges::copy(values, vectors.values().begin());
    const std::vector<search::Item> items{{"wide", {{"kind", "w"}, {"patient", "P1"}}},
                                          {"a/wider", {{"kind", "w"}, {"patient", "P2"}}},
                                          {"/data/higher.png", {{"kind", "h"}, {"path", "/data/higher.png"}}},
                                          {"../h' OR 1=1 --", {{"kind", "h"}, {"patient", "P1"}}}};
    writer.add(items, vectors, identity);
  }

  // Until the model's digest is known, what needs it gets 503.
  static void wait_for_digest(RunningServer& server) {
    ASSERT_TRUE(eventually([&] {
      return Client(server.port()).post("/collections/shapes/search", R"({"texts":["a"]})").status == 200;
    }));
  }
  static std::vector<std::string> ids_of(const Reply& reply, const char* list = "hits") {
    EXPECT_EQ(reply.status, 200) << reply.body;
    std::vector<std::string> ids;
    if (reply.status != 200) return ids;
    const bj::value answer = bj::parse(reply.body);
    for (const bj::value& item : answer.at(list).as_array()) ids.emplace_back(item.at("id").as_string());
    return ids;
  }
  static std::vector<std::string> ids_in(const Reply& map) {
    EXPECT_EQ(map.status, 200) << map.body;
    if (map.status != 200) return {};
    return bj::value_to<std::vector<std::string>>(bj::parse(map.body).at("ids"));
  }
  static Reply remove(RunningServer& server, const std::string& path, const std::string& headers = "") {
    Client client(server.port());
    client.send_text("DELETE " + path + " HTTP/1.1\r\nHost: t\r\n" + headers + "\r\n");
    return client.receive();
  }

  fs::path folder_;
  ServeOptions options_;
};

TEST_F(ServeCollections, AreListedAndFoundOnReload) {
  RunningServer server(options_);
  const auto get = [&](const std::string& path) { return Client(server.port()).get(path); };
  const auto list = bj::parse(get("/collections").body).at("collections").as_array();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].at("name").as_string(), "shapes");
  EXPECT_EQ(list[0].at("items").as_int64(), 4);
  EXPECT_EQ(list[0].at("dim").as_int64(), 2);
  EXPECT_EQ(list[0].at("identity").as_string(), kIdentity.fingerprint());
  EXPECT_EQ(bj::serialize(list[0].at("columns")), R"(["kind","patient","path"])");
  EXPECT_EQ(get("/collections/shapes").status, 200);
  for (const char* unknown : {"/collections/no%20collection", "/collections/other",
                              "/collections/..%2Fshapes", "/collections/%ff", "/collections/other/items"})
    EXPECT_EQ(get(unknown).status, 404) << unknown;
  make("second");
  server.server().reload();
  EXPECT_TRUE(eventually([&] { return get("/collections/second").status == 200; }));
}

TEST_F(ServeCollections, SearchTakesImagesTextsVectorsAndIds) {
  RunningServer server(options_);
  wait_for_digest(server);
  const auto search = [&](const std::string& body) {
    return Client(server.port()).post("/collections/shapes/search", body);
  };
  EXPECT_THAT(ids_of(search("{\"images\":[\"" + pnm_base64(40, 30) + "\"],\"k\":2}")),
              ElementsAre("a/wider", "/data/higher.png"));
  EXPECT_THAT(ids_of(search(R"({"texts":["any"],"k":1})")), ElementsAre("wide"));
  EXPECT_THAT(ids_of(search(R"({"vectors":[[0,2]],"k":1})")), ElementsAre("../h' OR 1=1 --"));
  // (0, 1) as float32
  EXPECT_THAT(ids_of(search(R"({"vectors":["AAAAAAAAgD8="],"k":1})")), ElementsAre("../h' OR 1=1 --"));
  EXPECT_THAT(ids_of(search(R"({"ids":["wide"],"k":1})")), ElementsAre("a/wider")) << "an example is no hit";
  EXPECT_THAT(ids_of(search(R"({"ids":["a/wider"],"not_ids":["wide"],"k":1})")),
              ElementsAre("../h' OR 1=1 --"));
  EXPECT_THAT(ids_of(search(R"({"texts":["any"],"not_images":[")" + pnm_base64(8, 1) +
                            R"("],"not_texts":[],"k":1})")),
              ElementsAre("wide"));
  EXPECT_THAT(ids_of(search(R"({"texts":["a"],"filter":"kind = 'h'","k":9})")),
              ElementsAre("/data/higher.png", "../h' OR 1=1 --"));
  EXPECT_THAT(ids_of(search(R"({"texts":["a"],"one_per":"kind"})")), ElementsAre("wide", "/data/higher.png"));
  EXPECT_THAT(ids_of(search(R"({"ids":["wide"],"leave_out_patient":true})")),
              ElementsAre("a/wider", "/data/higher.png"));
  EXPECT_THAT(ids_of(search(R"({"texts":["a"],"fold":0.7})")), ElementsAre("wide", "/data/higher.png"));
  const auto answer =
      bj::parse(search(R"({"texts":["a"],"vote":["kind"],"exact":true,"k":3,"version":1})").body);
  EXPECT_EQ(answer.at("evidence").at("stage").as_string(), "exact");
  EXPECT_EQ(answer.at("evidence").at("version").as_int64(), 1);
  EXPECT_EQ(answer.at("evidence").at("votes").at(0).at("votes").at(0).at("value").as_string(), "w");
  EXPECT_EQ(answer.at("identity").at("weights").as_string(), "weights");
  EXPECT_EQ(answer.at("hits").at(1).at("attributes").at("patient").as_string(), "P2");
}

// The vectors (1, 0), (0.8, 0.6), (0.6, 0.8) and (0, 1) lie along (1, -1) and (1, 1): the differences of
// their values are 1, 0.2, -0.2 and -1, the sums 1, 1.4, 1.4 and 1.
TEST_F(ServeCollections, MapTellsWhereItemsLie) {
  RunningServer server(options_);
  const auto get = [&](const std::string& query) {
    return Client(server.port()).get("/collections/shapes/map" + query);
  };
  const auto answer = bj::parse(get("?column=kind").body);
  EXPECT_EQ(answer.at("version").as_int64(), 1);
  EXPECT_EQ(answer.at("items").as_int64(), 4);
  EXPECT_EQ(bj::serialize(answer.at("ids")), R"(["wide","a/wider","/data/higher.png","../h' OR 1=1 --"])");
  EXPECT_EQ(bj::serialize(answer.at("names")), R"([{"value":"h","items":2},{"value":"w","items":2}])");
  EXPECT_TRUE(answer.at("numbers").is_null());
  EXPECT_THAT(decode_base64(answer.at("codes").as_string()),
              ElementsAre(std::byte{2}, std::byte{2}, std::byte{1}, std::byte{1}));
  const double x_variance = 2 * (1 + 0.04), y_variance = 4 * 0.04;
  EXPECT_NEAR(answer.at("share").at(0).as_double(), x_variance / (x_variance + y_variance), 1e-6);
  EXPECT_NEAR(answer.at("share").at(1).as_double(), y_variance / (x_variance + y_variance), 1e-6);
  const bj::value& places = answer.at("places");
  const std::vector<std::byte> bytes = decode_base64(places.at("points").as_string());
  ASSERT_EQ(bytes.size(), size_t{16});
  std::array<uint16_t, 8> points;
  std::memcpy(points.data(), bytes.data(), bytes.size());
  const double step = places.at("step").as_double(),
               expected[4][2] = {{1, -0.2}, {0.2, 0.2}, {-0.2, 0.2}, {-1, -0.2}};
  // Which of two equally large values is the positive one is a matter of rounding.
  const double sign = points[0] > points[6] ? 1 : -1;
  for (size_t i = 0; i < 4; ++i)
    for (size_t a = 0; a < 2; ++a)
      EXPECT_NEAR(places.at("origin").at(a).to_number<double>() + step * points[2 * i + a],
                  (a == 0 ? sign : 1) * expected[i][a] / std::sqrt(2.0), step / 2 + 1e-6);

  EXPECT_THAT(ids_in(get("?filter=kind%20%3D%20%27h%27")),
              ElementsAre("/data/higher.png", "../h' OR 1=1 --"));
  EXPECT_THAT(ids_in(get("?filter=kind%20%3D%20%27x%27")), testing::IsEmpty());
  EXPECT_THAT(ids_in(get("?limit=2")), ElementsAre("wide", "/data/higher.png"));
  EXPECT_TRUE(bj::parse(get("").body).at("codes").is_null());
  for (const char* wrong :
       {"?filter=kind%20%3D", "?column=none", "?limit=0", "?limit=100001", "?limit=x", "?column=%ff"})
    EXPECT_EQ(get(wrong).status, 400) << wrong;
  EXPECT_EQ(Client(server.port()).get("/collections/other/map").status, 404);
}

TEST_F(ServeCollections, MapIsComputedForOneAtATime) {
  ServedCollection collection((folder_ / "shapes").string());
  bool refused = false;
  const auto view = collection.map({.cancelled = [&] {
    refused = !collection.map({});
    return false;
  }});
  EXPECT_TRUE(refused);
  EXPECT_EQ(view->selection.ids.size(), size_t{4});
  EXPECT_TRUE(collection.map({}));
}

TEST_F(ServeCollections, SearchTakesAFormAndAnImageAsTheBody) {
  RunningServer server(options_);
  wait_for_digest(server);
  const std::string form = "--B\r\nContent-Disposition: form-data; name=\"images\"; filename=\"x\"\r\n\r\n" +
                           pnm(4, 3) +
                           "\r\n--B\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n1\r\n--B--\r\n";
  EXPECT_THAT(ids_of(Client(server.port())
                         .post("/collections/shapes/search", form,
                               "Content-Type: multipart/form-data; boundary=B\r\n")),
              ElementsAre("a/wider"));
  EXPECT_THAT(ids_of(Client(server.port())
                         .post("/collections/shapes/search?k=1&filter=kind%20%3D%20%27h%27", pnm(4, 3),
                               "Content-Type: image/png\r\n")),
              ElementsAre("/data/higher.png"));
  EXPECT_EQ(Client(server.port())
                .post("/collections/shapes/search?k=many", pnm(4, 3), "Content-Type: image/png\r\n")
                .status,
            422);
}

TEST_F(ServeCollections, ASearchThatCannotBeIsRefused) {
  make("foreign", {"others", "config", "tokenizer", "f32", "profile auto", "1"});
  make("bf16", {"weights", "config", "tokenizer", "bf16", "profile auto", "1"});
  RunningServer server(options_);
  wait_for_digest(server);
  const auto refused = [&](const std::string& body, int status = 400, const std::string& name = "shapes") {
    const Reply reply = Client(server.port()).post("/collections/" + name + "/search", body);
    EXPECT_EQ(reply.status, status) << body << reply.body;
    EXPECT_THAT(reply.body, Not(HasSubstr(folder_.string()))) << "the server's folders";
    return reply.body;
  };
  EXPECT_THAT(refused("{}"), HasSubstr("a query needs"));
  EXPECT_THAT(refused(R"({"texts":["a"],"k":0})"), HasSubstr("k is 0, expected 1 to 10000"));
  EXPECT_THAT(refused(R"({"texts":["a"],"k":1000000000})"), HasSubstr("expected 1 to 10000"));
  EXPECT_THAT(refused(R"({"texts":["a"],"k":10000,"fold":0.9})"), HasSubstr("expected 1 to 1000"));
  EXPECT_THAT(refused(R"({"texts":["a"],"k":1.5})", 422), HasSubstr("valid integer"));
  EXPECT_THAT(refused(R"({"texts":["a"],"fold":"near"})", 422), HasSubstr("valid number"));
  EXPECT_THAT(refused(R"({"texts":["a"],"filter":"kind ="})"), HasSubstr("7"));
  EXPECT_THAT(refused(R"({"texts":["a"],"filter":"age < 4"})"), HasSubstr("age"));
  EXPECT_THAT(refused("{\"texts\":[\"a\"],\"filter\":\"" + std::string(9000, 'x') + "\"}"),
              HasSubstr("at most"));
  EXPECT_THAT(refused(R"({"texts":["a"],"version":7})"), HasSubstr("version 7 is not kept"));
  EXPECT_THAT(refused(R"({"texts":["a"],"version":-1})"), HasSubstr("negative"));
  EXPECT_THAT(refused(R"({"ids":["nobody"]})"), HasSubstr("there is no item 'nobody'"));
  EXPECT_THAT(refused(R"({"vectors":[[1,2,3]]})"), HasSubstr("holds vectors of 2 values, these have 3"));
  EXPECT_THAT(refused(R"({"vectors":[[0,0]]})"), HasSubstr("zero"));
  EXPECT_THAT(refused(R"({"vectors":[[1e300,0]]})"), HasSubstr("not finite"));
  EXPECT_THAT(refused(R"({"vectors":[["1"]]})"), HasSubstr("vectors[0] must hold numbers only"));
  EXPECT_THAT(refused(R"({"vectors":["AAA="]})"), HasSubstr("no whole float32"));
  EXPECT_THAT(refused(R"({"vectors":[[1,0]],"identity":{"weights":"w"}})"), HasSubstr("identity"));
  EXPECT_THAT(refused(R"({"texts":["a"],"leave_out_patient":true})"), HasSubstr("patient is not known"));
  EXPECT_THAT(refused(R"({"texts":["a"]})", 400, "foreign"),
              HasSubstr("weights: 'weights', expected 'others'"));
  EXPECT_THAT(ids_of(Client(server.port()).post("/collections/foreign/search", R"({"ids":["wide"],"k":1})")),
              ElementsAre("a/wider"))
      << "no model has a part in this";
  const Reply warned = Client(server.port()).post("/collections/bf16/search", R"({"texts":["a"]})");
  EXPECT_THAT(std::string(bj::parse(warned.body).at("warnings").at(0).as_string()), HasSubstr("precision"));
}

TEST_F(ServeCollections, ItemsArePagedAndFoundByAnyId) {
  RunningServer server(options_);
  const auto get = [&](const std::string& path) { return Client(server.port()).get(path); };
  const std::string items = "/collections/shapes/items";
  const Reply first = get(items + "?limit=3");
  EXPECT_THAT(ids_of(first, "items"), ElementsAre("../h' OR 1=1 --", "/data/higher.png", "a/wider"));
  EXPECT_EQ(bj::parse(first.body).at("next").as_string(), "a/wider");
  const Reply second = get(items + "?limit=3&after=a/wider");
  EXPECT_THAT(ids_of(second, "items"), ElementsAre("wide"));
  EXPECT_TRUE(bj::parse(second.body).at("next").is_null());
  EXPECT_EQ(bj::parse(get(items + "/a/wider").body).at("attributes").at("patient").as_string(), "P2");
  EXPECT_THAT(ids_of(get(items + "?id=/data/higher.png&id=nobody&id=..%2Fh'%20OR%201=1%20--"), "items"),
              ElementsAre("/data/higher.png", "../h' OR 1=1 --"));
  for (const char* unknown : {"/nobody", "//data/higher.png", "/%ff", "/a%2Fwider"})
    EXPECT_EQ(get(items + unknown).status, 404) << unknown;
  for (const char* wrong : {"?limit=0", "?limit=1001", "?limit=x", "?after=%ff"})
    EXPECT_EQ(get(items + wrong).status, 400) << wrong;
  EXPECT_EQ(remove(server, items + "/nobody").status, 404);
  EXPECT_EQ(remove(server, items).status, 400);
  EXPECT_EQ(remove(server, items + "/a/wider").body, R"({"removed":1})");
  EXPECT_EQ(remove(server, items + "?id=/data/higher.png&id=nobody").body, R"({"removed":1})");
  EXPECT_THAT(ids_of(get(items), "items"), ElementsAre("../h' OR 1=1 --", "wide"));
  EXPECT_THAT(server.log(), Not(HasSubstr("wider"))) << "ids may say who a patient is";
  EXPECT_THAT(server.log(), HasSubstr("/collections/{name}/items/{id...}"));
}

TEST_F(ServeCollections, ItemsAreAddedAsImagesAndAsVectors) {
  RunningServer server(options_);
  wait_for_digest(server);
  const auto add = [&](const std::string& body) {
    return Client(server.port()).post("/collections/shapes/items", body);
  };
  const std::string image = pnm_base64(3, 4);
  EXPECT_EQ(add("{\"ids\":[\"new\",\"wide\"],\"images\":[\"" + image + "\",\"" + image +
                "\"],\"attributes\":[{\"age\":40},{\"kind\":null}]}")
                .body,
            R"({"added":1,"replaced":1,"items":5,"version":2})");
  const auto item = [&](const std::string& id) {
    return bj::serialize(
        bj::parse(Client(server.port()).get("/collections/shapes/items/" + id).body).at("attributes"));
  };
  EXPECT_EQ(item("new"), R"({"age":"40"})");
  EXPECT_EQ(item("wide"), R"({"patient":"P1"})") << "null takes a value away, what is not given stays";
  EXPECT_EQ(add("{\"ids\":[\"v\"],\"vectors\":[[3,4]],\"identity\":" + kIdentity.json() + "}").status, 200);
  const auto refused = [&](const std::string& body, int status = 400) {
    const Reply reply = add(body);
    EXPECT_EQ(reply.status, status) << body << reply.body;
    return reply.body;
  };
  EXPECT_THAT(refused("{}", 422), HasSubstr("Field required"));
  EXPECT_THAT(refused(R"({"ids":["a"]})"), HasSubstr("either images or vectors"));
  EXPECT_THAT(refused(R"({"ids":["a"],"vectors":[[1,2]]})"), HasSubstr("need an identity"));
  EXPECT_THAT(refused(R"({"ids":["a","b"],"vectors":[[1,2]]})"), HasSubstr("2 ids for 1"));
  EXPECT_THAT(refused("{\"ids\":[\"a\",\"a\"],\"images\":[\"" + image + "\",\"" + image + "\"]}"),
              HasSubstr("given twice"));
  EXPECT_THAT(refused("{\"ids\":[\"a\"],\"images\":[\"" + pnm_base64(13, 1) + "\"]}"), HasSubstr("thirteen"));
  EXPECT_THAT(refused("{\"ids\":[\"a\"],\"images\":[\"" + image + "\"],\"attributes\":[{\"c\":\"" +
                      std::string(9000, 'x') + "\"}]}"),
              HasSubstr("at most"));
  EXPECT_THAT(refused("{\"ids\":[\"a\"],\"images\":[\"" + image + "\"],\"attributes\":[{\"c\":[]}]}"),
              HasSubstr("attributes[0].c must be a text"));
  Identity other = kIdentity;
  other.config = "another";
  EXPECT_THAT(refused("{\"ids\":[\"a\"],\"vectors\":[[1,2]],\"identity\":" + other.json() + "}"),
              HasSubstr("config"));
  EXPECT_THAT(refused("{\"ids\":[\"a\"],\"vectors\":[[1,2,3]],\"identity\":" + kIdentity.json() + "}"),
              HasSubstr("these have 3"));
  EXPECT_EQ(Client(server.port()).get("/collections/shapes/items/a").status, 404)
      << "nothing of it was added";
  const FolderCollection writer(folder_ / "shapes", FolderCollection::Access::write);
  EXPECT_THAT(refused("{\"ids\":[\"a\"],\"images\":[\"" + image + "\"]}", 409), HasSubstr("another process"));
}

TEST_F(ServeCollections, DicomFilesSayThemselvesWhoseTheyAre) {
  RunningServer server(options_);
  wait_for_digest(server);
  DicomSet set = dicom_image({.rows = 8,
                              .cols = 8,
                              .stored = 12,
                              .modality = "US",
                              .pixels = numbers(std::vector<uint16_t>(64, 40))});
  set.raw(0x00100020, "LO", "P1");
  const std::string image = encode_base64(dicom_file(set));
  const Reply added =
      Client(server.port())
          .post("/collections/shapes/items", "{\"ids\":[\"d\"],\"images\":[\"" + image + "\"]}");
  EXPECT_EQ(added.status, 200) << added.body;
  const Reply item = Client(server.port()).get("/collections/shapes/items/d");
  EXPECT_THAT(item.body, HasSubstr(R"("patient":"P1")"));
  EXPECT_THAT(item.body, HasSubstr(R"("modality":"US")"));
  EXPECT_THAT(ids_of(Client(server.port())
                         .post("/collections/shapes/search",
                               "{\"leave_out_patient\":true,\"images\":[\"" + image + "\"]}")),
              ElementsAre("/data/higher.png", "a/wider"));
  EXPECT_THAT(server.log(), Not(HasSubstr("P1")));
}

TEST_F(ServeCollections, WritingNeedsAKeyWithThatScope) {
  const fs::path keys = folder_ / "keys";
  // printf %s secret | sha256sum, and 12345
  std::ofstream(keys) << "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b  -\n"
                         "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5  - scope=write\n";
  options_.keys_file = keys;
  options_.audit = true;
  RunningServer server(options_);
  const std::string reads = "Authorization: Bearer secret\r\n", writes = "Authorization: Bearer 12345\r\n";
  EXPECT_EQ(Client(server.port()).get("/collections/shapes/items").status, 401);
  EXPECT_EQ(Client(server.port()).get("/collections/shapes/items", reads).status, 200);
  EXPECT_EQ(remove(server, "/collections/shapes/items/wide").status, 401);
  EXPECT_EQ(remove(server, "/collections/shapes/items/wide", reads).status, 403);
  EXPECT_EQ(remove(server, "/collections/shapes/items/wide", writes).status, 200);
  const std::string query = R"({"ids":["a/wider"],"k":1,"filter":"kind = 'h'"})";
  EXPECT_EQ(Client(server.port())
                .post("/collections/shapes/search", query, reads + "Content-Type: application/json\r\n")
                .status,
            200);
  const auto entries = search::AuditLog(folder_ / "shapes").entries();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].caller, "key 2bb80d537b1da3e3");
  EXPECT_EQ(entries[0].filter, "\"kind\" = 'h'");
  EXPECT_THAT(entries[0].ids, ElementsAre("/data/higher.png"));
}

TEST_F(ServeCollections, WithoutKeysOnlyThisMachineWrites) {
  options_.host = "0.0.0.0";
  RunningServer server(options_);
  EXPECT_EQ(Client(server.port()).get("/collections/shapes/items").status, 200);
  EXPECT_EQ(remove(server, "/collections/shapes/items/wide").status, 403);
}

TEST_F(ServeCollections, ClientsSearchWhileOneAdds) {
  RunningServer server(options_);
  wait_for_digest(server);
  std::atomic<bool> adding = true;
  std::atomic<int> searches = 0, wrong = 0;
  const auto search = [&] {
    Client client(server.port());
    do {
      // Every version has one nearest item, and each is whole.
      const Reply reply = client.post("/collections/shapes/search", R"({"vectors":[[1,0]],"k":100})");
      if (reply.status != 200) {
        ++wrong;
        continue;
      }
      const bj::value answer = bj::parse(reply.body);
      const size_t items = answer.at("hits").as_array().size();
      const int64_t version = answer.at("evidence").at("version").as_int64();
      if (static_cast<int64_t>(items) != 3 + version) ++wrong;
      ++searches;
    } while (adding);
  };
  std::thread one(search), two(search);
  for (int i = 0; i < 20; ++i) {
    const Reply reply = Client(server.port())
                            .post("/collections/shapes/items",
                                  "{\"ids\":[\"new" + std::to_string(i) +
                                      "\"],\"vectors\":[[1,1]],\"identity\":" + kIdentity.json() + "}");
    EXPECT_EQ(reply.status, 200) << reply.body;
  }
  adding = false;
  one.join();
  two.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(searches, 2);
}

TEST_F(ServeCollections, ALongPageComesInPieces) {
  {
    FolderCollection writer(folder_ / "shapes", FolderCollection::Access::write);
    std::vector<search::Item> items;
    Matrix vectors(200, 2);
    for (size_t i = 0; i < 200; ++i) {
      items.push_back({"long" + std::to_string(i), {{"note", std::string(2000, 'n')}}});
      vectors.row(i)[0] = 1;
    }
    writer.add(items, vectors, kIdentity);
  }
  RunningServer server(options_);
  const Reply page = Client(server.port()).get("/collections/shapes/items?limit=1000");
  EXPECT_EQ(page.header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(ids_of(page, "items").size(), 204u);
  const Reply hits =
      Client(server.port()).post("/collections/shapes/search", R"({"vectors":[[1,0]],"k":204})");
  EXPECT_EQ(hits.header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(ids_of(hits).size(), 204u);
}

TEST_F(ServeCollections, AreInTheDocument) {
  RunningServer server(options_);
  const bj::value document = bj::parse(Client(server.port()).get("/openapi.json").body);
  const auto& paths = document.at("paths").as_object();
  ASSERT_TRUE(paths.contains("/collections/{name}/items/{id}"));
  const auto& search = paths.at("/collections/{name}/search").at("post");
  const auto& properties =
      search.at("requestBody").at("content").at("application/json").at("schema").at("properties");
  EXPECT_EQ(bj::serialize(properties.at("k").at("type")), R"(["integer","null"])");
  EXPECT_TRUE(paths.at("/collections/{name}/items").at("post").at("responses").as_object().contains("403"));
}

}  // namespace
}  // namespace mii::serve
