// The program as its users run it: arguments in, output, files and exit status out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "mii/engine.h"
#include "procedural_model.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct Result {
  int status;
  std::string out;
  std::string err;
};

class Program : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = std::make_unique<ProceduralModel>("tiny-a"); }
  static void TearDownTestSuite() { model_.reset(); }
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mii-program-" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Arguments as a shell reads them.
  Result run(const std::string& arguments) const {
    const std::string command = std::string(MII_PROGRAM) + " " + arguments + " >" +
                                (folder_ / "out").string() + " 2>" + (folder_ / "err").string();
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), text_of(folder_ / "out"), text_of(folder_ / "err")};
  }
  std::string model() const { return " --precision f32 --model " + model_->folder().string() + " "; }
  static std::string picture(const char* name) { return (golden_folder() / "synthetic" / name).string(); }
  std::string file(const char* name) const { return (folder_ / name).string(); }
  void write(const char* name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  static std::unique_ptr<ProceduralModel> model_;
  fs::path folder_;
};
std::unique_ptr<ProceduralModel> Program::model_;

TEST_F(Program, ClassifyPrintsOneJsonObjectAPictureInDescendingOrder) {
  const Result r = run("classify" + model() + picture("rgb.png") + " " + picture("rgba.png") +
                       " --labels X-Ray Ultrasound 'a \"b\"' --json");
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(r.err, "");
  std::istringstream lines(r.out);
  size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto object = boost::json::parse(line).as_object();
    double last = 1, sum = 0;
    for (const auto& [label, p] : object.at("predictions").as_object()) {
      EXPECT_LE(p.as_double(), last);
      last = p.as_double();
      sum += last;
    }
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_TRUE(object.at("predictions").as_object().contains("a \"b\""));
  }
  EXPECT_EQ(count, 2u);
}

TEST_F(Program, EmbedWritesTheEnginesVectorsInEachFormat) {
  const Image image = Image::read(picture("rgb.png"));
  const Matrix expected =
      Engine::open(model_->folder(), {.precision = Precision::f32}).encode_images({&image, 1});
  for (const char* name : {"v.npy", "v.safetensors", "v.jsonl"}) {
    const Result r =
        run("embed" + model() + "--quiet --images " + picture("rgb.png") + " --output " + file(name));
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(r.err, "");
    EXPECT_EQ(text_of(folder_ / (std::string(name) + ".index.tsv")),
              "row\tinput\n0\t" + picture("rgb.png") + "\n");
  }
  const std::string npy = text_of(folder_ / "v.npy");
  ASSERT_GT(npy.size(), expected.cols() * 4);
  EXPECT_EQ((npy.size() - expected.cols() * 4) % 64, 0u);
  EXPECT_EQ(std::memcmp(npy.data() + npy.size() - expected.cols() * 4, expected.values().data(),
                        expected.cols() * 4),
            0);
  const auto line = boost::json::parse(text_of(folder_ / "v.jsonl")).as_object();
  for (size_t d = 0; d < expected.cols(); ++d)
    EXPECT_EQ(static_cast<float>(line.at("embedding").as_array()[d].to_number<double>()), expected.row(0)[d]);
}

TEST_F(Program, EmbedLeavesOutWhatFailsAndSaysWhy) {
  write("broken.jpg", "no picture");
  const Result r = run("embed" + model() + "--images " + picture("rgb.png") + " " + file("broken.jpg") + " " +
                       picture("grey.png") + " --output " + file("v.jsonl"));
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.err, HasSubstr("broken.jpg"));
  EXPECT_EQ(text_of(folder_ / "v.jsonl.index.tsv"),
            "row\tinput\n0\t" + picture("rgb.png") + "\n1\t" + picture("grey.png") + "\n");
  EXPECT_FALSE(fs::exists(folder_ / "v.jsonl.part"));
}

TEST_F(Program, ResumeComputesOnlyWhatIsMissingAndKeepsTheOrder) {
  for (const char* name : {"v.npy", "v.safetensors", "v.jsonl"}) {
    const std::string output = " --output " + file(name);
    EXPECT_EQ(run("embed" + model() + "--texts 'b' 'd'" + output).status, 0);
    const Result r = run("embed" + model() + "--texts 'a' 'b' 'c' 'd' --resume" + output);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(text_of(folder_ / (std::string(name) + ".index.tsv")), "row\tinput\n0\ta\n1\tb\n2\tc\n3\td\n");
    const std::string resumed = text_of(folder_ / name);
    EXPECT_EQ(run("embed" + model() + "--texts 'a' 'b' 'c' 'd' --resume" + output).status, 0);
    EXPECT_EQ(text_of(folder_ / name), resumed) << "nothing was missing";
  }
}

TEST_F(Program, ResumeTakesUpWhatAKilledRunLeft) {
  write("v.npy.part", std::string(48 * 4, '\0') + "cut");
  write("v.npy.part.tsv", "dim 48\na\nb-cut-off");
  EXPECT_EQ(run("embed" + model() + "--texts a b --resume --output " + file("v.npy")).status, 0);
  const std::string npy = text_of(folder_ / "v.npy");
  EXPECT_EQ(npy.substr(npy.size() - 2 * 48 * 4, 48 * 4), std::string(48 * 4, '\0'))
      << "the row that was there is kept";
  EXPECT_NE(npy.substr(npy.size() - 48 * 4), std::string(48 * 4, '\0'));
}

TEST_F(Program, CtrlCKeepsWhatWasFinished) {
  std::string lines;
  for (int i = 0; i < 200000; ++i) lines += "a text with some words, number " + std::to_string(i) + "\n";
  write("texts", lines);
  const pid_t pid = fork();
  if (pid == 0) {
    const std::string folder = model_->folder().string(), texts = file("texts"), output = file("v.npy");
    execl(MII_PROGRAM, "mii", "embed", "--quiet", "--model", folder.c_str(), "--texts-file", texts.c_str(),
          "--output", output.c_str(), nullptr);
    _exit(127);
  }
  for (int i = 0;
       i < 1000 && (!fs::exists(folder_ / "v.npy.part") || fs::file_size(folder_ / "v.npy.part") == 0); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(pid, SIGINT);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const std::string index = text_of(folder_ / "v.npy.index.tsv");
  const auto rows = std::ranges::count(index, '\n') - 1;
  EXPECT_GT(rows, 0);
  EXPECT_LT(rows, 200000);
  EXPECT_EQ(fs::file_size(folder_ / "v.npy") % 64, static_cast<uintmax_t>(rows) * 48 * 4 % 64);
}

TEST_F(Program, FoldersAreWalkedInOrderOfName) {
  const Result r =
      run("classify --json" + model() + (golden_folder() / "synthetic").string() + " --labels a b");
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(std::ranges::count(r.out, '\n'), 18);
  EXPECT_LT(r.out.find("baseline.jpg"), r.out.find("bilevel.png"));
}

TEST_F(Program, ConvertHalvesTheWeightsAndLoads) {
  EXPECT_EQ(run("convert " + model_->folder().string() + " " + file("half") + " --dtype bf16").status, 0);
  const Result r = run("info " + file("half"));
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("mixed"));
}

TEST_F(Program, EvalLeavesOutTasksWithoutImages) {
  write("manifest.tsv", "path\tpatient\tsource\tmodality\tfinding\n" + picture("rgb.png") +
                            "\ta\t\tUltrasound\t\n" + picture("rgba.png") + "\tb\t\tX-Ray\t\n" +
                            picture("grey.png") + "\tc\t\tX-Ray\t\n");
  const std::string eval = "eval" + model() + file("manifest.tsv") + " --resamples 10";
  const Result r = run(eval + " --field modality --field finding --json " + file("report.json"));
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("modality: 3 images of 3 patients, 2 labels"));
  EXPECT_THAT(r.err, HasSubstr("warning: task 'finding' left out"));
  const auto report = boost::json::parse(text_of(file("report.json"))).as_object();
  const auto& tasks = report.at("tasks").as_array();
  ASSERT_EQ(tasks.size(), 1u);
  const auto& neighbours = tasks[0].at("nearest_neighbours").at("embeddings");
  EXPECT_LT(neighbours.at("top1").at("value").as_double(), 1);  // the only Ultrasound has no other patient
  EXPECT_TRUE(neighbours.at("macro_auc").at("value").is_double());
  const auto& pixels = tasks[0].at("nearest_neighbours").at("32x32 pixels");
  const auto& difference = tasks[0].at("difference").at("top1");
  EXPECT_DOUBLE_EQ(difference.at("value").as_double(),
                   neighbours.at("top1").at("value").as_double() - pixels.at("top1").at("value").as_double());
  EXPECT_LE(difference.at("low").as_double(), difference.at("high").as_double());

  const Result none = run(eval + " --field finding");
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("no image has a label of any task"));
}

TEST_F(Program, EvalAveragesTasksThatShareAMean) {
  write("manifest.tsv", "path\tpatient\tsource\tmodality\n" + picture("rgb.png") + "\ta\t\tUltrasound\n" +
                            picture("rgba.png") + "\tb\t\tX-Ray\n" + picture("grey.png") + "\tc\t\tX-Ray\n");
  write("tasks.yaml",
        "tasks:\n- {field: modality, mean: both}\n- {field: path, mean: both}\n"
        "- {field: modality, mean: one}\n");
  const Result both =
      run("eval" + model() + file("manifest.tsv") + " --resamples 10 --tasks " + file("tasks.yaml") +
          " --json " + file("both.json") + " --html " + file("both.html"));
  EXPECT_EQ(both.status, 0) << both.err;
  EXPECT_THAT(both.out, HasSubstr("both, mean of 2 tasks: 6 images of 3 patients\n"));
  EXPECT_THAT(text_of(file("both.html")), HasSubstr("<h2>both, mean of 2 tasks</h2>"));
  const auto averaged = boost::json::parse(text_of(file("both.json"))).as_object();
  const auto& each = averaged.at("tasks").as_array();
  ASSERT_EQ(each.size(), 4u);
  const auto top1 = [&](size_t t) { return each[t].at("top1").at("value").as_double(); };
  EXPECT_DOUBLE_EQ(top1(3), (top1(0) + top1(1)) / 2);
  const auto auc = [&](size_t t) { return each[t].at("macro_auc").at("value").as_double(); };
  EXPECT_DOUBLE_EQ(auc(3), (auc(0) + auc(1)) / 2);
}

struct Wrong {
  const char* arguments;
  int status;
  const char* reason;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.arguments; }  // NOLINT: gtest's name

class WrongUse : public Program, public testing::WithParamInterface<Wrong> {};

TEST_P(WrongUse, GetsOneSentenceAndItsStatus) {
  std::string arguments = GetParam().arguments;
  const auto replace = [&](const std::string& key, const std::string& value) {
    for (size_t at; (at = arguments.find(key)) != std::string::npos;)
      arguments.replace(at, key.size(), value);
  };
  replace("MODEL", model_->folder().string());
  replace("PICTURE", picture("rgb.png"));
  replace("OUT", folder_.string());
  const Result r = run(arguments);
  EXPECT_EQ(r.status, GetParam().status) << r.err;
  EXPECT_THAT(r.out + r.err, HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, WrongUse,
    testing::Values(
        Wrong{"", 2, "subcommand"},
        Wrong{"classify PICTURE --labels a --model /nonexistent", 1, "no such model folder"},
        Wrong{"classify PICTURE --model MODEL", 2, "--labels"},
        Wrong{"classify PICTURE --model MODEL --labels a a", 2, "label 2 is given twice"},
        Wrong{"classify PICTURE --model MODEL --labels ''", 2, "label 1 is empty"},
        Wrong{"classify PICTURE --model MODEL --labels a --template x", 2, "template 1"},
        Wrong{"classify /nonexistent.png --model MODEL --labels a", 1, "no such file"},
        Wrong{"embed --model MODEL --texts a --output /nonexistent/v.npy", 1, "cannot be written"},
        Wrong{"embed --model MODEL --texts a --output OUT/v.csv", 2, "must end in"},
        Wrong{"embed --model MODEL --output OUT/v.npy", 2, "--images"},
        Wrong{"embed --model MODEL --texts a --images PICTURE --output OUT/v.npy", 2, "were given"},
        Wrong{"embed --model MODEL --images OUT --output OUT/v.npy", 2, "no pictures"},
        Wrong{"embed --model MODEL --texts \"$(printf 'a\\377')\" b --output OUT/v.npy", 3, "UTF-8"},
        Wrong{"convert MODEL MODEL", 2, "its own folder"}));

// A model that is not there ends the service right after it has said what it was told.
TEST_F(Program, ServeTakesAFlagBeforeTheEnvironmentAndThatBeforeTheFile) {
  write("serve.conf", "# limits\nmax-images = 11\nmax-labels=12 # remark\n\nmax-text-bytes = 13\n");
  const Result r = run("serve --port 0 --model /nonexistent --max-images 31 --config " + file("serve.conf"));
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("\"max_images\":31,\"max_texts\":12,\"max_text_bytes\":13,"));
  EXPECT_THAT(r.err, HasSubstr("/nonexistent"));
  setenv("MII_SERVE_MAX_LABELS", "22", 1);
  setenv("MII_SERVE_MAX_IMAGES", "21", 1);
  EXPECT_THAT(run("serve --port 0 --model /nonexistent --max-images 31 --config " + file("serve.conf")).err,
              HasSubstr("\"max_images\":31,\"max_texts\":22,\"max_text_bytes\":13,"));
  unsetenv("MII_SERVE_MAX_LABELS");
  unsetenv("MII_SERVE_MAX_IMAGES");
}

TEST_F(Program, ServeRefusesWrongSettingsAndNamesThem) {
  write("serve.conf", "port = 0\nno-such-option = 1\n");
  const Result unknown = run("serve --config " + file("serve.conf"));
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("line 2: there is no option 'no-such-option'"));
  write("serve.conf", "port = many\n");
  EXPECT_EQ(run("serve --config " + file("serve.conf")).status, 2);
  EXPECT_EQ(run("serve --port 0 --tls-key " + file("key.pem")).status, 2);
  EXPECT_EQ(run("serve --port 0 --host not-an-address").status, 2);
  write("keys", "not a hash\n");
  const Result keys = run("serve --port 0 --keys " + file("keys"));
  EXPECT_EQ(keys.status, 2);
  EXPECT_THAT(keys.err, HasSubstr("line 1"));
  EXPECT_EQ(run("serve --port 0 --tls-certificate " + file("keys") + " --tls-key " + file("keys")).status, 2);
}

TEST_F(Program, ServeWarnsWhenTheNetworkMayUseItWithoutAKey) {
  EXPECT_THAT(run("serve --port 0 --host 0.0.0.0 --model /nonexistent").err,
              HasSubstr("\"level\":\"warning\""));
  EXPECT_THAT(run("serve --port 0 --model /nonexistent").err, Not(HasSubstr("\"level\":\"warning\"")));
}

}  // namespace
}  // namespace mii
