// Collections and searches as the program's users make them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>
#include <limits>

#include "golden.h"
#include "medical/dicom_writer.h"
#include "pipeline/vector_formats.h"
#include "procedural_model.h"
#include "run_program.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

class CollectionProgram : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = std::make_unique<ProceduralModel>("tiny-a"); }
  static void TearDownTestSuite() { model_.reset(); }
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-collection-program-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "images");
    for (const char* name : {"rgb.png", "grey.jpg", "rgba.png"})
      fs::copy_file(golden_folder() / "synthetic" / name, folder_ / "images" / name);
    write("table.csv",
          "path,modality,age,patient\nimages/rgb.png,CT,40,p1\nimages/grey.jpg,CT,9,p1\nimages/"
          "rgba.png,MR,,p2\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result run(const std::string& arguments) const {
    return run_shell("cd " + folder_.string() + " && " MII_PROGRAM " " + arguments, folder_);
  }
  std::string expect_ok(const std::string& arguments) const {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, 0) << arguments << ": " << result.err;
    return result.out + result.err;
  }
  // Refused, with this status.
  std::string error_of(const std::string& arguments, int status) const {
    const Result result = run(arguments);
    EXPECT_EQ(result.status, status) << arguments << ": " << result.err;
    return result.err;
  }
  boost::json::object search(const std::string& arguments) const {
    return boost::json::parse(run("search " + arguments + " --json --quiet").out).as_object();
  }
  static std::vector<std::string> ids_of(const boost::json::object& answer) {
    std::vector<std::string> ids;
    for (const auto& hit : answer.at("hits").as_array()) ids.emplace_back(hit.at("id").as_string());
    return ids;
  }
  std::string model() const { return " --precision f32 --model " + model_->folder().string() + " "; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void fill() const {
    expect_ok("collection create c");
    expect_ok("collection add c --manifest table.csv" + model());
  }

  static std::unique_ptr<ProceduralModel> model_;
  fs::path folder_;
};
std::unique_ptr<ProceduralModel> CollectionProgram::model_;

TEST_F(CollectionProgram, AddKeepsEveryColumnAndEncodesOnlyWhatHasChanged) {
  expect_ok("collection create c");
  EXPECT_THAT(expect_ok("collection add c --manifest table.csv" + model()),
              HasSubstr("3 added, 0 replaced, 0 unchanged; c has 3 items"));
  // No model is needed where nothing is to be encoded.
  const std::string no_model = " --model nowhere";
  EXPECT_THAT(expect_ok("collection add c --manifest table.csv" + no_model),
              HasSubstr("0 added, 0 replaced, 3 unchanged"));
  write("table.csv", "path,modality,age,site\nimages/rgb.png,CT,41,A\nimages/grey.jpg,CT,,\n");
  EXPECT_THAT(expect_ok("collection add c --manifest table.csv" + no_model),
              HasSubstr("0 added, 2 replaced, 0 unchanged; c has 3 items"));
  fs::copy_file(folder_ / "images/rgba.png", folder_ / "images/rgb.png",
                fs::copy_options::overwrite_existing);
  fs::last_write_time(folder_ / "images/rgb.png", fs::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_THAT(expect_ok("collection add c --manifest table.csv" + model()),
              HasSubstr("0 added, 1 replaced, 1 unchanged; c has 3 items"));
  const auto answer = search("c --id images/rgba.png");
  ASSERT_EQ(answer.at("hits").as_array().size(), size_t{2});
  const auto& hit = answer.at("hits").as_array()[0].as_object();
  EXPECT_EQ(hit.at("id").as_string(), "images/rgb.png");
  EXPECT_NEAR(hit.at("similarity").as_double(), 1, 1e-5);
  EXPECT_EQ(boost::json::serialize(hit.at("attributes")),
            R"({"path":"images/rgb.png","modality":"CT","age":"41","patient":"p1","site":"A"})");
}

TEST_F(CollectionProgram, SearchTakesFilesTextsIdsAndRowsOfVectors) {
  fill();
  expect_ok("embed --images images --output v.npy" + model());
  const std::string hit = "images/grey.jpg";
  EXPECT_EQ(ids_of(search("c images/grey.jpg -k 1" + model())).at(0), hit);
  EXPECT_EQ(ids_of(search("c --vector v.npy#0 -k 1")).at(0), hit);
  EXPECT_THAT(ids_of(search("c --id images/grey.jpg")),
              UnorderedElementsAre("images/rgb.png", "images/rgba.png"));
  EXPECT_EQ(ids_of(search("c --text ultrasound" + model())).size(), size_t{3});
  EXPECT_THAT(ids_of(search("c images/grey.jpg --filter \"modality = 'CT' and age < 40\"" + model())),
              ElementsAre(hit));
  EXPECT_EQ(ids_of(search("c images/grey.jpg --one-per patient" + model())).size(), size_t{2});
  EXPECT_THAT(ids_of(search("c --id images/grey.jpg --other-patients")), ElementsAre("images/rgba.png"));
  const auto unlike = search("c images/grey.jpg --not-like images/rgb.png" + model());
  EXPECT_LT(unlike.at("hits").as_array().at(0).at("similarity").as_double(), 0.9);
}

TEST_F(CollectionProgram, SearchPrintsTheEvidenceAndWritesAPage) {
  fill();
  const std::string table =
      expect_ok("search c --id images/grey.jpg --vote modality --html page.html --audit --caller me --quiet");
  EXPECT_THAT(table, HasSubstr("   1  "));
  EXPECT_THAT(table, HasSubstr("modality:\n  "));
  EXPECT_THAT(table, HasSubstr("1 of 2 ("));
  EXPECT_THAT(table, HasSubstr("3 items searched, stage exact (exact), version "));
  EXPECT_THAT(text_of(folder_ / "page.html"), HasSubstr("data:image/jpeg;base64,"));
  EXPECT_TRUE(fs::exists(folder_ / "c/audit.sqlite"));
  const auto answer = search("c --id images/grey.jpg --vote modality");
  EXPECT_EQ(answer.at("evidence").at("votes").as_array().at(0).at("voters").as_int64(), 2);
  EXPECT_EQ(answer.at("identity").at("preprocessing").as_string(), "profile auto");
}

TEST_F(CollectionProgram, VectorsOfAnotherMakingAreRefusedAndSayWhatDiffers) {
  fill();
  const std::string expected = "preprocessing: 'profile ct-lung', expected 'profile auto'";
  EXPECT_THAT(error_of("collection add c --images images --profile ct-lung" + model(), 2),
              HasSubstr(expected));
  EXPECT_THAT(error_of("search c images/rgb.png --profile ct-lung" + model(), 2), HasSubstr(expected));
  expect_ok("embed --images images --output v.npy --profile ct-lung" + model());
  EXPECT_THAT(error_of("collection add c --vectors v.npy", 2), HasSubstr(expected));
  EXPECT_THAT(error_of("search c --vector v.npy#0", 2), HasSubstr(expected));
}

TEST_F(CollectionProgram, RebuildSwapsWhenAllWasComputedAndElseStays) {
  fill();
  fs::rename(folder_ / "images/rgb.png", folder_ / "away.png");
  EXPECT_THAT(error_of("collection rebuild c --profile ct-lung" + model(), 1),
              HasSubstr("c stays as it was"));
  EXPECT_THAT(expect_ok("collection info c"), HasSubstr("profile auto"));
  fs::rename(folder_ / "away.png", folder_ / "images/rgb.png");
  expect_ok("collection rebuild c --profile ct-lung" + model());
  EXPECT_THAT(expect_ok("collection info c"), HasSubstr("profile ct-lung"));
  EXPECT_THAT(expect_ok("collection info c"), HasSubstr("items     3"));
  EXPECT_EQ(
      search("c --id images/grey.jpg").at("hits").as_array().at(0).at("attributes").at("patient").as_string(),
      "p1");
}

TEST_F(CollectionProgram, ExportedVectorsAndItemsMakeTheSameCollection) {
  fill();
  expect_ok("collection export c e.npy");
  expect_ok("collection create d --store bf16");
  EXPECT_THAT(expect_ok("collection add d --vectors e.npy --manifest e.npy.items.csv"), HasSubstr("3 added"));
  EXPECT_THAT(expect_ok("collection add d --vectors e.npy --manifest e.npy.items.csv"),
              HasSubstr("3 unchanged"));
  expect_ok("collection snapshot d s");
  const auto of_c = search("c --id images/grey.jpg"), of_s = search("s --id images/grey.jpg");
  EXPECT_EQ(ids_of(of_c), ids_of(of_s));
  EXPECT_EQ(of_c.at("hits").at(0).at("attributes"), of_s.at("hits").at(0).at("attributes"));
}

TEST_F(CollectionProgram, ADamagedRowOfAFileStopsAddingAndThoseBeforeStay) {
  std::vector<pipeline::VectorSource> sources;
  for (int r = 0; r < 5000; ++r)
    sources.push_back({std::string("f").append(std::to_string(r)), pipeline::VectorSource::State{1, 1}});
  float of_4500 = 0;
  const auto write_vectors = [&](const std::string& name) {
    pipeline::write_vectors(folder_ / name, sources, 2, {"w", "c", "t", "f32", "profile auto", "0.1.0"},
                            [&](size_t row) {
                              return std::vector<float>{row == 4500 ? of_4500 : 1.0f, 0};
                            });
  };
  expect_ok("collection create c");
  write_vectors("v.npy");
  EXPECT_THAT(error_of("collection add c --vectors v.npy", 2),
              HasSubstr("v.npy, rows 4096 to 4999: the vector of 'f4500' is zero"));
  EXPECT_THAT(expect_ok("collection info c"), HasSubstr("items     4096"));
  of_4500 = std::numeric_limits<float>::quiet_NaN();
  write_vectors("v.npy");
  EXPECT_THAT(error_of("collection add c --vectors v.npy", 1), HasSubstr("v.npy: row 4500 is not finite"));
  of_4500 = 1;
  write_vectors("v.npy");
  EXPECT_THAT(expect_ok("collection add c --vectors v.npy"),
              HasSubstr("904 added, 0 replaced, 4096 unchanged; c has 5000 items"));
  EXPECT_THAT(expect_ok("collection verify c"), HasSubstr("no fault found"));
}

TEST_F(CollectionProgram, VectorsWithoutFilesAreReplacedWhenTheyHaveChanged) {
  for (const std::string store : {"f32", "bf16"}) {
    expect_ok("collection create " + store + " --store " + store);
    float of_b = 0.3f;
    const auto add = [&] {
      pipeline::write_vectors(folder_ / "v.npy", {{"a", std::nullopt}, {"b", std::nullopt}}, 2,
                              {"w", "c", "t", "f32", "profile auto", "0.1.0"}, [&](size_t row) {
                                return std::vector<float>{1, row == 0 ? 0.2f : of_b};
                              });
      return expect_ok("collection add " + store + " --vectors v.npy");
    };
    EXPECT_THAT(add(), HasSubstr("2 added, 0 replaced, 0 unchanged"));
    EXPECT_THAT(add(), HasSubstr("0 added, 0 replaced, 2 unchanged"));
    of_b = 0.7f;
    EXPECT_THAT(add(), HasSubstr("0 added, 1 replaced, 1 unchanged"));
    const auto hits = search(store + " --id a").at("hits").as_array();
    // cos(a, b) = 1.14 / (|a| |b|); bf16 keeps 8 bits of each value.
    EXPECT_NEAR(hits[0].at("similarity").as_double(), 1.14 / std::sqrt(1.04 * 1.49),
                store == "f32" ? 1e-6 : 1e-2);
  }
}

TEST_F(CollectionProgram, ATableGivesAllColumnsOfVectorsWithoutFiles) {
  pipeline::write_vectors(folder_ / "v.npy", {{"a", std::nullopt}, {"b", std::nullopt}}, 2,
                          {"w", "c", "t", "f32", "profile auto", "0.1.0"}, [](size_t row) {
                            return std::vector<float>{1, static_cast<float>(row)};
                          });
  write("items.csv", "id,site\na,X\nb,Y\n");
  expect_ok("collection create c");
  expect_ok("collection add c --vectors v.npy --manifest items.csv");
  EXPECT_THAT(expect_ok("collection info c"), HasSubstr("columns   site\n"));
}

TEST_F(CollectionProgram, RemovingCompactingAndVerifying) {
  fill();
  EXPECT_THAT(error_of("collection remove c images/rgb.png nothing", 3),
              HasSubstr("1 of 2 removed; c has 2 items"));
  EXPECT_THAT(expect_ok("collection info c"), HasSubstr("items     2, and 1 removed"));
  expect_ok("collection compact c");
  EXPECT_THAT(expect_ok("collection verify c"), HasSubstr("c: no fault found"));
  std::fstream file(folder_ / "c/generation-2/vectors", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100);
  file.put('\x55');
  file.close();
  EXPECT_THAT(error_of("collection verify c", 1), HasSubstr("generation-2/vectors: rows 0 to 1 are damaged"));
}

TEST_F(CollectionProgram, DicomFilesSayThemselvesWhoseTheyAre) {
  for (int i = 0; i < 2; ++i) {
    DicomSet set = dicom_image({.rows = 8,
                                .cols = 8,
                                .stored = 12,
                                .modality = "US",
                                .pixels = numbers(std::vector<uint16_t>(64, static_cast<uint16_t>(40 + i)))});
    set.raw(0x00080018, "UI", "1.2.3." + std::to_string(i)).raw(0x00100020, "LO", "P7");
    set.raw(0x0020000D, "UI", "1.2").raw(0x0020000E, "UI", "1.2.1");
    const std::vector<std::byte> bytes = dicom_file(set);
    write("images/" + std::to_string(i) + ".dcm",
          {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  expect_ok("collection create c");
  expect_ok("collection add c --images images" + model());
  const auto hits = search(
      "c images/0.dcm --filter \"modality = 'US' and patient = 'P7' and study = '1.2' and series = "
      "'1.2.1' and instance like '1.2.3._'\"" +
      model());
  EXPECT_THAT(ids_of(hits), UnorderedElementsAre("images/0.dcm", "images/1.dcm"));
  EXPECT_THAT(ids_of(search("c images/0.dcm --other-patients" + model())),
              Not(testing::Contains("images/1.dcm")));
}

TEST_F(CollectionProgram, VolumesAreFoundByTheirSlices) {
  for (int i = 0; i < 4; ++i) {
    std::vector<uint16_t> pixels;
    for (int p = 0; p < 64; ++p)
      pixels.push_back(static_cast<uint16_t>(i < 2 ? 10 * p + i : (p + i) % 3 * 99));
    DicomSet set =
        dicom_image({.rows = 8, .cols = 8, .stored = 12, .modality = "US", .pixels = numbers(pixels)});
    const std::string series = std::to_string(i / 2);
    set.raw(0x00080018, "UI", "1.2.3." + std::to_string(i)).raw(0x0020000E, "UI", "1.2." + series);
    set.raw(0x00200013, "IS", std::to_string(i));
    const std::vector<std::byte> bytes = dicom_file(set);
    fs::create_directories(folder_ / "series" / series);
    write("series/" + series + "/" + std::to_string(i) + ".dcm",
          {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  expect_ok("collection create c");
  expect_ok("collection add c --images series images" + model());
  for (const char* rank : {"frequency", "maximum", "sum", "late"}) {
    const auto answer = search(std::string("c series/0 --volume --rank ") + rank + model());
    std::vector<std::string> volumes;
    for (const auto& hit : answer.at("hits").as_array())
      volumes.emplace_back(hit.at("attributes").at("series").as_string());
    EXPECT_THAT(volumes, UnorderedElementsAre("1.2.0", "1.2.1")) << rank;
    EXPECT_EQ(answer.at("evidence").at("searched").to_number<int>(), 4) << rank;  // images have no series
    EXPECT_TRUE(answer.at("evidence").at("typical").is_null()) << rank;
  }
  for (const std::string pool : {"median", "std"}) {
    expect_ok("embed --volume --images series --output " + pool + ".npy --pool " + pool + model());
    expect_ok("collection create " + pool);
    expect_ok("collection add " + pool + " --vectors " + pool + ".npy");
    const auto answer = search(pool + " series/0 --volume --pool " + pool + model());
    EXPECT_THAT(answer.at("hits").at(0).at("similarity").to_number<double>(), testing::DoubleNear(1, 1e-5));
  }
  EXPECT_THAT(error_of("search std series/0 --volume --pool max" + model(), 2), HasSubstr("pool std"));
  EXPECT_THAT(error_of("search c series/0 --rank late" + model(), 2), HasSubstr("--volume"));
  EXPECT_THAT(error_of("search c series/0 --volume --rank size" + model(), 2), HasSubstr("--rank"));
  EXPECT_THAT(error_of("search c series/0 series/1 --volume --rank late" + model(), 2),
              HasSubstr("takes one"));
  EXPECT_THAT(error_of("search c series/0 --volume --rank late --one-per patient" + model(), 2),
              HasSubstr("excludes"));
}

TEST_F(CollectionProgram, DuplicatesAreListed) {
  fs::copy_file(folder_ / "images/rgb.png", folder_ / "images/copy.png");
  expect_ok("collection create c");
  expect_ok("collection add c --images images --thumbnails" + model());
  EXPECT_EQ(run("duplicates c --at-least 0.99999 --quiet").out,
            "1.0000  images/copy.png\n1.0000  images/rgb.png\n1.0000  images/rgba.png\n\n");
}

TEST_F(CollectionProgram, WhatMakesNoSenseIsSaid) {
  EXPECT_THAT(error_of("collection info nowhere", 1), HasSubstr("nowhere: is no collection"));
  fill();
  EXPECT_THAT(error_of("collection create c", 1), HasSubstr("is there already"));
  EXPECT_THAT(error_of("search c --id nothing", 2), HasSubstr("there is no item 'nothing'"));
  EXPECT_THAT(error_of("search c", 2), HasSubstr("A query"));
  EXPECT_THAT(error_of("search c --id images/rgb.png -k 0", 2), HasSubstr("1 to 10000"));
  EXPECT_THAT(error_of("search c --id images/rgb.png -k 1000000000", 2), HasSubstr("1 to 10000"));
  EXPECT_THAT(error_of("search c --id images/rgb.png --filter 'age <'", 2), HasSubstr("filter, place 6"));
  EXPECT_THAT(error_of("search c --id images/rgb.png --stage fast", 2), HasSubstr("no stage 'fast'"));
  EXPECT_THAT(error_of("search c --text a --other-patients" + model(), 2), HasSubstr("patient is not known"));
  EXPECT_THAT(error_of("search c --vector missing.npy#0", 1), HasSubstr("missing.npy"));
  write("table.csv", "path,id\nimages/rgb.png,x\nimages/grey.jpg,x\n");
  EXPECT_THAT(error_of("collection add c --manifest table.csv" + model(), 2),
              HasSubstr("the id 'x' is that of"));
  EXPECT_THAT(error_of("collection add c --images images/none.png" + model(), 1), HasSubstr("none.png"));
}

TEST_F(CollectionProgram, MapTellsWhereItemsLie) {
  fill();
  const auto map = boost::json::parse(run("collection map c --column modality --json").out).as_object();
  EXPECT_EQ(map.at("items").as_int64(), 3);
  const auto& points = map.at("points").as_array();
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[2].at("id").as_string(), "images/rgba.png");
  EXPECT_EQ(points[2].at("value").as_string(), "MR");
  // Three points lie in a plane, and their middle at 0.
  EXPECT_NEAR(map.at("share").at(0).as_double() + map.at("share").at(1).as_double(), 1, 1e-9);
  for (size_t a = 0; a < 2; ++a) {
    double sum = 0;
    for (const auto& point : points) sum += point.at("place").at(a).to_number<double>();
    EXPECT_NEAR(sum, 0, 1e-6);
  }
  const Result some = run("collection map c --filter \"modality = 'MR'\" --column modality");
  EXPECT_THAT(some.out, testing::MatchesRegex(" *-?[0-9.]+ +-?[0-9.]+  images/rgba.png  MR\n"));
  EXPECT_THAT(some.err, HasSubstr("1 of 1 items; the axes show "));
  EXPECT_THAT(error_of("collection map c --column none", 2), HasSubstr("'none'"));
}

}  // namespace
}  // namespace mii
