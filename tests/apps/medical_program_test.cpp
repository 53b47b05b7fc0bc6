// The program with DICOM files, series and volumes as its users run it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>

#include "core/file.h"
#include "image/preprocess.h"
#include "medical/dicom_file.h"
#include "medical/dicom_writer.h"
#include "mii/engine.h"
#include "mii/image.h"
#include "mii/series.h"
#include "procedural_model.h"
#include "run_program.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// A CT slice of 24 x 16 pixels, with everything that names a patient.
DicomSet ct_slice(int number) {
  constexpr uint16_t kRows = 16, kCols = 24;
  std::vector<uint16_t> values;
  for (int i = 0; i < kRows * kCols; ++i)
    values.push_back(static_cast<uint16_t>(900 + (i * 37 + number * 101) % 400));
  DicomSet set =
      dicom_image({.rows = kRows, .cols = kCols, .stored = 12, .modality = "CT", .pixels = numbers(values)});
  set.raw(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2")
      .raw(0x00080018, "UI", "9.8.7.6." + std::to_string(number));
  set.raw(0x00080020, "DA", "20240131").raw(0x00080050, "SH", "ACC-55").raw(0x00080080, "LO", "St. Nowhere");
  set.raw(0x00081030, "LO", "Chest of Jane")
      .raw(0x00100010, "PN", "Doe^Jane")
      .raw(0x00100020, "LO", "ID-4711");
  set.raw(0x00100030, "DA", "19610203").raw(0x00180015, "CS", "CHEST");
  set.raw(0x0020000D, "UI", "9.8.7").raw(0x0020000E, "UI", "9.8.7.5").raw(0x00200011, "IS", "3");
  set.raw(0x00200013, "IS", std::to_string(number))
      .raw(0x00200032, "DS", "0\\0\\" + std::to_string(-5 * number));
  set.raw(0x00200037, "DS", "1\\0\\0\\0\\1\\0");
  set.raw(0x00281050, "DS", "40").raw(0x00281051, "DS", "400");
  return set.raw(0x00281052, "DS", "-1024").raw(0x00281053, "DS", "1");
}

// Secrets of ct_slice.
constexpr const char* kIdentifying[] = {"Jane",   "ID-4711", "19610203", "20240131",
                                        "ACC-55", "Nowhere", "9.8.7"};

class MedicalProgram : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = std::make_unique<ProceduralModel>("tiny-a"); }
  static void TearDownTestSuite() { model_.reset(); }
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-medical-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "series");
    // Against their order in space: slice 1 lies highest.
    for (int i = 1; i <= 5; ++i) write("series/" + std::to_string(i) + ".dcm", dicom_file(ct_slice(i)));
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result run(const std::string& arguments) const { return run_program(arguments, folder_); }
  std::string model() const { return " --precision f32 --quiet --model " + model_->folder().string() + " "; }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, const Data& data) const {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
  }

  // Vectors of "FILE.jsonl" by name of input.
  std::map<std::string, std::vector<double>> vectors(const std::string& name) const {
    std::map<std::string, std::vector<double>> found;
    std::istringstream lines(text_of(file(name)));
    for (std::string line; std::getline(lines, line);) {
      const auto object = boost::json::parse(line).as_object();
      std::vector<double>& vector = found[std::string(object.at("input").as_string())];
      for (const auto& v : object.at("embedding").as_array()) vector.push_back(v.to_number<double>());
    }
    return found;
  }

  // What the engine gives for images, read one by one.
  static Matrix encoded(const std::vector<std::string>& paths, const DecodeOptions& options = {}) {
    std::vector<Image> images;
    for (const std::string& path : paths) images.push_back(Image::read(path, options));
    return Engine::open(model_->folder(), {.precision = Precision::f32}).encode_images(images);
  }
  // In their order in space.
  std::vector<std::string> slices() const {
    std::vector<std::string> paths;
    for (int i = 5; i >= 1; --i) paths.push_back(file("series/" + std::to_string(i) + ".dcm"));
    return paths;
  }

  static std::unique_ptr<ProceduralModel> model_;
  fs::path folder_;
};
std::unique_ptr<ProceduralModel> MedicalProgram::model_;

// Vectors depend on how many are computed together by some units in the last place.
void expect_near(const std::vector<double>& found, std::span<const float> expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 4e-6) << i;
}

// Latin-1 without a word about it, and an escape sequence.
TEST_F(MedicalProgram, DamagedTextsGiveValidJsonAndReachNoTerminal) {
  DicomSet set = ct_slice(1);
  set.raw(0x00180015, "CS", "K\xF6RPER").raw(0x00100010, "PN", "M\xFCller\x1b[2J");
  write("bad.dcm", dicom_file(set));
  const Result json = run("inspect --json --phi " + file("bad.dcm"));
  EXPECT_EQ(json.status, 0) << json.err;
  boost::json::error_code error;
  boost::json::parse(json.out, error);  // which refuses invalid UTF-8
  EXPECT_FALSE(error) << json.out;
  EXPECT_THAT(json.out, HasSubstr("M\xEF\xBF\xBDller\\u001b"));
  const Result table = run("inspect --phi " + file("bad.dcm"));
  EXPECT_THAT(table.out, HasSubstr("M\\xfcller\\x1b"));
  EXPECT_EQ(table.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(run("embed --provenance" + model() + "--output " + file("v.npy") + " --images " + file("bad.dcm"))
                .status,
            0);
  boost::json::parse(text_of(file("v.npy.provenance.jsonl")), error);
  EXPECT_FALSE(error);
}

TEST_F(MedicalProgram, InspectSaysWhatAFileIsAndNotWhoseItIs) {
  for (const char* form : {"", " --json"}) {
    const Result r = run("inspect " + file("series/1.dcm") + form);
    EXPECT_EQ(r.status, 0) << r.err;
    for (const char* part : {"CT", "CHEST", "40", "400", "24", "16", "MONOCHROME2", "Little Endian Explicit"})
      EXPECT_THAT(r.out, HasSubstr(part)) << form;
    for (const char* secret : kIdentifying) EXPECT_THAT(r.out + r.err, Not(HasSubstr(secret))) << form;
  }
  const auto object = boost::json::parse(run("inspect --json " + file("series/1.dcm")).out).as_object();
  EXPECT_EQ(object.at("modality").as_string(), "CT");
  EXPECT_EQ(object.at("size").as_array().at(0).to_number<int>(), 24);
  EXPECT_EQ(object.at("shown").as_object().at("window_center").to_number<double>(), 40);
}

TEST_F(MedicalProgram, InspectPrintsWhoseItIsWhenAskedTo) {
  const Result r = run("inspect --phi " + file("series/1.dcm"));
  for (const char* secret : kIdentifying) EXPECT_THAT(r.out, HasSubstr(secret));
}

TEST_F(MedicalProgram, InspectOfAFolderListsSeriesInTheirOrder) {
  for (const char* form : {"", " --json"}) {
    const Result r = run("inspect " + file("series") + form);
    EXPECT_EQ(r.status, 0) << r.err;
    for (const char* secret : kIdentifying) EXPECT_THAT(r.out + r.err, Not(HasSubstr(secret))) << form;
    EXPECT_THAT(r.out, HasSubstr("-25 to -5 mm")) << form;
  }
  const auto object = boost::json::parse(run("inspect --json " + file("series")).out).as_object();
  EXPECT_EQ(object.at("slices").to_number<int>(), 5);
  std::vector<std::string> order;
  for (const auto& name : object.at("order").as_array()) order.emplace_back(name.as_string());
  EXPECT_EQ(order, slices());
  EXPECT_THAT(run("inspect --phi " + file("series")).out, HasSubstr("9.8.7.5"));
}

TEST_F(MedicalProgram, InspectWarnsOfABurnedInAnnotation) {
  write("burned.dcm", dicom_file(ct_slice(1).raw(0x00280301, "CS", "YES")));
  EXPECT_THAT(run("inspect " + file("burned.dcm")).out, HasSubstr("burned_in_annotation"));
  EXPECT_THAT(run("inspect " + file("series/1.dcm")).out, Not(HasSubstr("burned")));
}

TEST_F(MedicalProgram, InspectNamesWhatIsNoImage) {
  DicomSet report;
  report.raw(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.88.11")
      .raw(0x00080060, "CS", "SR")
      .raw(0x00100010, "PN", "Doe^Jane");
  write("report.dcm", dicom_file(report));
  const Result r = run("inspect " + file("report.dcm") + " " + file("series/1.dcm"));
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.err, HasSubstr("report.dcm: DICOM: holds no image: it is BasicTextSR"));
  EXPECT_THAT(r.out, HasSubstr("CHEST")) << "the other file is described";
  EXPECT_THAT(r.out + r.err, Not(HasSubstr("Jane")));
}

TEST_F(MedicalProgram, InspectWritesTheImageThatTheModelSees) {
  const std::string input = file("series/1.dcm");
  const std::string folder = " --model " + model_->folder().string();
  EXPECT_EQ(run("inspect " + input + folder + " --png " + file("seen.png")).status, 0);
  const Image seen = Image::read(file("seen.png"));
  const Image expected = resize_bicubic(Image::read(input), seen.width(), seen.height());
  EXPECT_EQ(seen.width(), seen.height());
  EXPECT_NE(seen.width(), 24u);
  EXPECT_TRUE(std::ranges::equal(seen.pixels(), expected.pixels()));
  EXPECT_EQ(run("inspect " + input + folder + " --full-size --png " + file("full.png")).status, 0);
  EXPECT_TRUE(std::ranges::equal(Image::read(file("full.png")).pixels(), Image::read(input).pixels()));
}

TEST_F(MedicalProgram, ClassifyRecordsHowAFileBecameAnImage) {
  const Result r = run("classify" + model() + file("series/1.dcm") + " --labels a b --json --provenance");
  EXPECT_EQ(r.status, 0) << r.err;
  const auto record = boost::json::parse(r.out).as_object().at("provenance").as_object();
  EXPECT_EQ(record.at("format").as_string(), "DICOM");
  EXPECT_EQ(record.at("modality").as_string(), "CT");
  EXPECT_EQ(record.at("profile").as_string(), "auto");
  EXPECT_EQ(record.at("applied").as_string(), "voi-window");
  EXPECT_EQ(record.at("window_center").to_number<double>(), 40);
  EXPECT_EQ(record.at("window_width").to_number<double>(), 400);
  EXPECT_EQ(record.at("rescale_intercept").to_number<double>(), -1024);
  EXPECT_EQ(record.at("width").to_number<int>(), 24);
  for (const char* secret : kIdentifying) EXPECT_THAT(r.out + r.err, Not(HasSubstr(secret)));
  EXPECT_THAT(run("classify" + model() + file("series/1.dcm") + " --labels a b --json").out,
              Not(HasSubstr("provenance")));
}

TEST_F(MedicalProgram, AProfileIsTakenAndAWrongOneListed) {
  const Result r = run("classify" + model() + file("series/1.dcm") +
                       " --labels a b --json --provenance --profile ct-lung");
  EXPECT_THAT(r.out, HasSubstr("\"window_center\": -600"));
  const Result wrong = run("classify" + model() + file("series/1.dcm") + " --labels a b --profile lung");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("ct-lung"));
}

TEST_F(MedicalProgram, EmbedVolumeGivesOneVectorASeries) {
  const Matrix rows = encoded(slices());
  for (const auto& [name, pooling] : {std::pair("mean", Pooling::mean), std::pair("median", Pooling::median),
                                      std::pair("max", Pooling::max), std::pair("std", Pooling::std)}) {
    const Result r = run("embed --volume" + model() + "--images " + file("series") + " --pool " + name +
                         " --output " + file("v.jsonl"));
    EXPECT_EQ(r.status, 0) << r.err;
    const auto found = vectors("v.jsonl");
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found.begin()->first, slices().front());
    expect_near(found.begin()->second, pool_slices(rows, pooling).row(0));
  }
}

TEST_F(MedicalProgram, EmbedVolumeTakesTheSlicesAroundTheCentreAndKeepsTheirVectors) {
  const Result r =
      run("embed --volume" + model() + "--images " + file("series") + " --slices center:3 --slice-vectors " +
          file("s.jsonl") + " --output " + file("v.jsonl"));
  EXPECT_EQ(r.status, 0) << r.err;
  const std::vector<std::string> middle{slices()[1], slices()[2], slices()[3]};
  const Matrix rows = encoded(middle);
  expect_near(vectors("v.jsonl").begin()->second, pool_slices(rows, Pooling::mean).row(0));
  const auto kept = vectors("s.jsonl");
  ASSERT_EQ(kept.size(), 3u);
  for (size_t i = 0; i < middle.size(); ++i) expect_near(kept.at(middle[i]), rows.row(i));
  EXPECT_EQ(run("embed --volume" + model() + "--images " + file("series") + " --slices middle --output " +
                file("w.jsonl"))
                .status,
            2);
}

TEST_F(MedicalProgram, EmbedVolumeResumes) {
  const std::string arguments =
      "embed --volume" + model() + "--images " + file("series") + " --output " + file("v.jsonl");
  EXPECT_EQ(run(arguments).status, 0);
  const std::string first = text_of(file("v.jsonl"));
  EXPECT_EQ(run(arguments + " --resume").status, 0);
  EXPECT_EQ(text_of(file("v.jsonl")), first);
  fs::create_directories(folder_ / "series/more");
  write("series/more/6.dcm", dicom_file(ct_slice(6).raw(0x0020000E, "UI", "9.8.7.4")));
  EXPECT_EQ(run(arguments + " --resume").status, 0);
  EXPECT_EQ(vectors("v.jsonl").size(), 2u);
  EXPECT_THAT(text_of(file("v.jsonl")), HasSubstr(first.substr(0, first.find('\n'))));
}

TEST_F(MedicalProgram, ADamagedSliceIsListedAndLeftOut) {
  write("series/3.dcm", dicom_file(ct_slice(3).raw(0x7FE00010, "OW", "short")));
  const Result r =
      run("embed --volume" + model() + "--images " + file("series") + " --output " + file("v.jsonl"));
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.err, HasSubstr("3.dcm"));
  EXPECT_THAT(r.err, HasSubstr("ends early"));
  const std::vector<std::string> all = slices();
  const Matrix rows = encoded({all[0], all[1], all[3], all[4]});
  expect_near(vectors("v.jsonl").begin()->second, pool_slices(rows, Pooling::mean).row(0));
}

TEST_F(MedicalProgram, AllFramesAreEmbedded) {
  std::vector<uint16_t> values(3 * 16);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint16_t>(i * i);
  write("m.dcm", dicom_file(dicom_image(
                     {.rows = 4, .cols = 4, .modality = "MR", .frames = 3, .pixels = numbers(values)})));
  const Result r =
      run("embed" + model() + "--frame all --images " + file("m.dcm") + " --output " + file("v.jsonl"));
  EXPECT_EQ(r.status, 0) << r.err;
  const auto found = vectors("v.jsonl");
  ASSERT_EQ(found.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    DecodeOptions options;
    options.frame = i;
    expect_near(found.at(file("m.dcm") + "#" + std::to_string(i + 1)),
                encoded({file("m.dcm")}, options).row(0));
  }
  EXPECT_EQ(
      run("embed" + model() + "--frame 4 --images " + file("m.dcm") + " --output " + file("w.jsonl")).status,
      3);
}

TEST_F(MedicalProgram, AzureStandardisationChangesTheVectorAndIsRecorded) {
  const std::string arguments =
      "embed" + model() + "--images " + file("series/1.dcm") + " --provenance --output ";
  EXPECT_EQ(run(arguments + file("a.jsonl")).status, 0);
  EXPECT_EQ(run(arguments + file("b.jsonl") + " --azure").status, 0);
  EXPECT_NE(vectors("a.jsonl").begin()->second, vectors("b.jsonl").begin()->second);
  DecodeOptions options;
  options.azure.emplace();
  expect_near(vectors("b.jsonl").begin()->second, encoded({file("series/1.dcm")}, options).row(0));
  EXPECT_THAT(text_of(file("b.jsonl.provenance.jsonl")), HasSubstr("\"azure_standardisation\": true"));
  EXPECT_THAT(text_of(file("a.jsonl.provenance.jsonl")), Not(HasSubstr("azure")));
  for (const char* secret : kIdentifying)
    EXPECT_THAT(text_of(file("a.jsonl.provenance.jsonl")), Not(HasSubstr(secret)));
}

TEST_F(MedicalProgram, MapsOfADicomFileAreSecondaryCapturesOfItsStudy) {
  const Result r = run("explain --labels a b --out " + file("maps") + model() + file("series/1.dcm"));
  ASSERT_EQ(r.status, 0) << r.err;
  const auto info = [&](const char* name) {
    const MappedFile bytes = MappedFile::open(folder_ / "maps" / name);
    return DicomFile::open(bytes.bytes()).info();
  };
  const DicomInfo first = info("1-1.dcm-1.dcm"), second = info("1-1.dcm-2.dcm");
  EXPECT_EQ(first.patient_id, "ID-4711");
  EXPECT_EQ(first.study_instance_uid, "9.8.7");
  EXPECT_EQ(first.series_instance_uid, second.series_instance_uid);
  EXPECT_NE(first.series_instance_uid, "9.8.7.5");
  EXPECT_NE(first.sop_instance_uid, second.sop_instance_uid);
  EXPECT_EQ(second.instance_number, 2);
  EXPECT_EQ(Image::read(folder_ / "maps" / "1-1.dcm-1.dcm").width(),
            Image::read(folder_ / "maps" / "1-1.dcm-1.png").width());
}

TEST_F(MedicalProgram, ASeriesIsExplainedAsACurveAndMapsOfItsTopSlices) {
  const Result r =
      run("explain --volume --json --labels a b --out " + file("maps") + model() + file("series"));
  ASSERT_EQ(r.status, 0) << r.err;
  const auto curve = boost::json::parse(r.out).as_object();
  ASSERT_EQ(curve.at("slices").as_array().size(), 5u);
  EXPECT_EQ(curve.at("slices").at(0).at("position_mm").to_number<double>(), -25);
  EXPECT_THAT(std::string(curve.at("slices").at(0).at("name").as_string()), HasSubstr("5.dcm"));
  EXPECT_EQ(text_of(folder_ / "maps" / "1-5.dcm.curve.json"), r.out);
  EXPECT_THAT(text_of(folder_ / "maps" / "1-5.dcm.curve.svg"),
              testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\" "));
  for (const auto& label : curve.at("labels").as_array()) {
    std::vector<std::pair<double, int>> ranked;
    int slice = 0;
    for (const auto& score : label.at("scores").as_array())
      ranked.emplace_back(-score.to_number<double>(), ++slice);
    std::ranges::sort(ranked);
    ASSERT_EQ(label.at("top").as_array().size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(label.at("top").at(i).to_number<int>(), ranked[i].second);
      EXPECT_TRUE(
          fs::exists(folder_ / "maps" / ("1-5.dcm.slice" + std::to_string(ranked[i].second) + "-1.png")));
    }
  }
}

TEST_F(MedicalProgram, AVolumeWithoutASliceThatCanBeReadIsSaid) {
  for (const auto& entry : fs::directory_iterator(folder_ / "series")) fs::resize_file(entry, 900);
  const Result r = run("explain --volume --labels a b " + model() + file("series"));
  EXPECT_NE(r.status, 0);
  EXPECT_THAT(r.err, HasSubstr(".dcm"));
  EXPECT_EQ(r.out, "");
  fs::create_directory(folder_ / "none");
  EXPECT_THAT(run("explain --volume --labels a b " + model() + file("none")).err,
              HasSubstr("no DICOM series or NIfTI volume was found"));
}

}  // namespace
}  // namespace mii
