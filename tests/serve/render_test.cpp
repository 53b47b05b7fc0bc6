// POST /render, and the files of the workbench.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "golden.h"
#include "medical/dicom_writer.h"
#include "running_server.h"

namespace mii::serve {
namespace {

namespace json = boost::json;
using testing::HasSubstr;

std::string base64(const std::string& file) { return encode_base64(std::as_bytes(std::span(file))); }

std::string body(const std::string& image, const std::string& more = "") {
  return "{\"images\":[\"" + image + "\"]" + more + "}";
}

Reply render(const RunningServer& server, const std::string& image, const std::string& more = "") {
  return Client(server.port()).post("/render", body(image, more));
}

Image shown(const Reply& reply) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  const std::string png(json::parse(reply.body).at("png").as_string());
  return Image::decode(decode_base64(png));
}

std::vector<uint8_t> pixels(const Image& image) { return {image.pixels().begin(), image.pixels().end()}; }

// A CT of 4 x 1 pixels.
std::string ct() {
  DicomSet set =
      dicom_image({.rows = 1,
                   .cols = 4,
                   .is_signed = true,
                   .modality = "CT",
                   .pixels = numbers(std::vector<uint16_t>{static_cast<uint16_t>(-1000), 0, 40, 1000})});
  set.raw(0x00281052, "DS", "0").raw(0x00281053, "DS", "1");
  return encode_base64(dicom_file(set));
}

TEST(ServeRender, ShowsAnImageAsItIsDecoded) {
  RunningServer server;
  std::ostringstream file;
  file << std::ifstream(golden_folder() / "synthetic" / "baseline.jpg", std::ios::binary).rdbuf();
  const std::string bytes = file.str();
  const Image expected = Image::decode(std::as_bytes(std::span(bytes)));
  const Reply reply = render(server, base64(bytes));
  EXPECT_EQ(pixels(shown(reply)), pixels(expected));
  const json::value answer = json::parse(reply.body);
  EXPECT_EQ(answer.at("width").to_number<size_t>(), expected.width());
  EXPECT_EQ(answer.at("frames").to_number<size_t>(), 1u);
  EXPECT_EQ(answer.at("provenance").at("format").as_string(), "JPEG");
}

TEST(ServeRender, TakesAFileAsItIs) {
  RunningServer server;
  const Reply reply =
      Client(server.port()).post("/render?max_side=30", pnm(300, 100), "Content-Type: image/x\r\n");
  EXPECT_EQ(shown(reply).width(), 30u);
}

TEST(ServeRender, WindowsACt) {
  RunningServer server;
  const Image soft = shown(render(server, ct(), R"(,"profile":"ct-soft-tissue")"));
  const Image wide = shown(render(server, ct(), R"(,"profile":"window:0,4000")"));
  EXPECT_EQ(soft.pixels()[0], 0);
  EXPECT_EQ(soft.pixels()[9], 255);
  EXPECT_GT(wide.pixels()[0], 0);
  EXPECT_LT(wide.pixels()[9], 255);
}

TEST(ServeRender, ShowsTheSliceThatIsAskedFor) {
  RunningServer server;
  NiftiWriter nifti;
  nifti.dim = {3, 2, 2, 3};
  nifti.voxels = numbers(std::vector<int16_t>{0, 0, 0, 0, 50, 50, 50, 50, 100, 100, 100, 100});
  const std::string volume = encode_base64(nifti.bytes());
  for (const int slice : {1, 2, 3}) {
    const Reply reply =
        render(server, volume, R"(,"profile":"window:50,101","frame":)" + std::to_string(slice));
    ASSERT_EQ(reply.status, 200) << reply.body;
    const json::value answer = json::parse(reply.body);
    EXPECT_EQ(answer.at("frames").to_number<int>(), 3);
    EXPECT_EQ(answer.at("provenance").at("frame").to_number<int>(), slice);
    EXPECT_NEAR(shown(reply).pixels()[0], (slice - 1) * 127.5, 1);
  }
  EXPECT_EQ(json::parse(render(server, volume, R"(,"plane":"coronal")").body).at("frames").to_number<int>(),
            2);
}

TEST(ServeRender, MakesALargeImageSmallerAndKeepsItsShape) {
  RunningServer server;
  const Image small = shown(render(server, pnm_base64(100, 50), R"(,"max_side":20)"));
  EXPECT_EQ(small.width(), 20u);
  EXPECT_EQ(small.height(), 10u);
  EXPECT_EQ(shown(render(server, pnm_base64(100, 1), R"(,"max_side":20)")).height(), 1u);
  EXPECT_EQ(shown(render(server, pnm_base64(9, 8), R"(,"max_side":20)")).width(), 9u) << "and none larger";
}

TEST(ServeRender, ShowsTheModelsInput) {
  RunningServer server(
      {}, [] { return std::make_unique<EngineModel>(Engine::open(MII_STARTER, {.threads = 1})); });
  const Engine engine = Engine::open(MII_STARTER, {.threads = 1});
  const std::string file = pnm(30, 20);
  const Image expected = engine.prepare(Image::decode(std::as_bytes(std::span(file))));
  const std::string first(
      json::parse(render(server, base64(file), R"(,"model_input":true)").body).at("png").as_string());
  EXPECT_EQ(pixels(Image::decode(decode_base64(first))), pixels(expected));
  // Sent again, it is the same input: what is scored is what was shown.
  EXPECT_EQ(pixels(shown(render(server, first, R"(,"model_input":true)"))), pixels(expected));
}

TEST(ServeRender, RefusesWhatItCannotShow) {
  RunningServer server;
  const auto refused = [&](const std::string& image, const std::string& more) {
    const Reply reply = render(server, image, more);
    EXPECT_EQ(reply.status, 400) << more << reply.body;
    return reply.body;
  };
  const std::string image = pnm_base64(2, 2);
  EXPECT_THAT(refused(image, R"(,"frame":0)"), HasSubstr("frame is 0, expected 1 to "));
  EXPECT_THAT(refused(image, R"(,"frame":-9223372036854775808)"),
              HasSubstr("frame is -9223372036854775808, expected 1 to "));
  refused(ct(), R"(,"frame":2)");
  refused(image, R"(,"profile":"nonsense")");
  EXPECT_THAT(refused(image, R"(,"plane":"oblique")"), HasSubstr("axial"));
  EXPECT_THAT(refused(image, R"(,"max_side":0)"), HasSubstr("max_side is 0, expected 1 to 16384"));
  EXPECT_THAT(refused(image, R"(,"max_side":16385)"), HasSubstr("max_side is 16385, expected 1 to 16384"));
  refused(base64("no image"), "");
  EXPECT_THAT(Client(server.port()).post("/render", "{\"images\":[]}").body, HasSubstr("0 images"));
  EXPECT_THAT(Client(server.port()).post("/render", body(image + "\",\"" + image)).body,
              HasSubstr("2 images, expected 1"));
  EXPECT_EQ(Client(server.port()).post("/render", "{}").status, 422);
}

TEST(ServeWorkbench, ItsPageIsOpenAndMayLoadNothingFromElsewhere) {
  ServeOptions options;
  options.keys_file = testing::TempDir() + "workbench.keys";
  std::ofstream(options.keys_file) << std::string(64, 'a') << '\n';
  RunningServer server(options);
  const Reply page = Client(server.port()).get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("<!DOCTYPE html>"));
  EXPECT_THAT(page.header("Content-Type"), HasSubstr("text/html"));
  EXPECT_THAT(page.header("Content-Security-Policy"), HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.header("Content-Security-Policy"), testing::Not(HasSubstr("unsafe")));
  EXPECT_EQ(page.header("Referrer-Policy"), "no-referrer");
  EXPECT_EQ(page.header("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(Client(server.port()).get("/web/app.js").header("Content-Type"), HasSubstr("javascript"));
  for (const char* file : {"/web/app.js", "/web/style.css", "/web/icon.svg"})
    EXPECT_THAT(Client(server.port()).get(file).header("Content-Security-Policy"),
                HasSubstr("default-src 'none'; script-src 'self';"));
  EXPECT_EQ(Client(server.port()).get("/web/nothing.js").status, 404);
  EXPECT_EQ(Client(server.port()).get("/web/..%2Fapp.js").status, 404);
  EXPECT_EQ(Client(server.port()).post("/render", body(pnm_base64(1, 1))).status, 401);
  const std::string address = "\"page\":\"http://127.0.0.1:" + std::to_string(server.port()) + "/\"";
  EXPECT_TRUE(eventually([&] { return server.log().find(address) != std::string::npos; })) << server.log();
}

TEST(ServeWorkbench, AFileThatABrowserHasIsNotSentAgain) {
  RunningServer server;
  Client client(server.port());
  const std::string tag = client.get("/web/app.js").header("ETag");
  ASSERT_FALSE(tag.empty());
  client.send_text("GET /web/app.js HTTP/1.1\r\nHost: t\r\nIf-None-Match: " + tag + "\r\n\r\n");
  const Reply again = client.receive();
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.header("ETag"), tag);
  EXPECT_EQ(client.get("/").status, 200) << "the connection goes on";
}

}  // namespace
}  // namespace mii::serve
