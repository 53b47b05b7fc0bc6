// The program as its users run it: arguments in, output, files and exit status out.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "mii/engine.h"
#include "pipeline/vector_reader.h"
#include "procedural_model.h"
#include "run_program.h"

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// One bit a pixel: a small file that becomes large.
std::string black_png(uint32_t width, uint32_t height) {
  const auto number = [](uint32_t n) {
    return std::string{static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
                       static_cast<char>(n)};
  };
  const auto chunk = [&](const std::string& content) {  // of the type and the data
    const auto checksum =
        crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
    return number(static_cast<uint32_t>(content.size() - 4)) + content +
           number(static_cast<uint32_t>(checksum));
  };
  const std::string rows((1 + (width + 7) / 8) * size_t{height}, '\0');
  std::string packed(compressBound(rows.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
           rows.size());
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR" + number(width) + number(height) + std::string("\1\0\0\0\0", 5)) +
         chunk("IDAT" + packed) + chunk("IEND");
}

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

  // Arguments as a shell reads them; `before` are the shell's commands before the program's.
  Result run(const std::string& arguments, const std::string& before = "") const {
    return shell(before + MII_PROGRAM " " + arguments);
  }
  Result shell(const std::string& commands) const { return run_shell(commands, folder_); }
  std::string model() const { return " --precision f32 --model " + model_->folder().string() + " "; }
  static std::string picture(const char* name) { return (golden_folder() / "synthetic" / name).string(); }
  std::string file(const char* name) const { return (folder_ / name).string(); }
  void write(const char* name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  // What the rows of a file of vectors belong to.
  std::vector<std::string> inputs_of(const std::string& name) const {
    std::vector<std::string> inputs;
    for (const pipeline::VectorSource& source : pipeline::read_vectors(folder_ / name).sources)
      inputs.push_back(source.input);
    return inputs;
  }

  static std::unique_ptr<ProceduralModel> model_;
  fs::path folder_;
};
std::unique_ptr<ProceduralModel> Program::model_;

TEST_F(Program, ClassifyPrintsOneJsonObjectAnImageInDescendingOrder) {
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

TEST_F(Program, ClassifyScoresALabelInAnotherLanguageByItsPromptAndKeepsItsName) {
  const std::string image = "classify" + model() + picture("rgb.png");
  const Result chinese = run(image + " --labels 超声 X光片 --json"),
               english = run(image + " --labels ultrasound x-ray --json");
  ASSERT_EQ(chinese.status, 0) << chinese.err;
  EXPECT_THAT(chinese.err, HasSubstr("label '超声' is scored as 'ultrasound'"));
  EXPECT_EQ(english.err, "");
  const auto named = boost::json::parse(chinese.out).as_object();
  const auto plain = boost::json::parse(english.out).as_object();
  EXPECT_EQ(named.at("predictions").at("超声"), plain.at("predictions").at("ultrasound"));
  EXPECT_EQ(named.at("predictions").at("X光片"), plain.at("predictions").at("x-ray"));
  EXPECT_EQ(named.at("prompts").at("X光片").as_string(), "x-ray");
  EXPECT_FALSE(plain.contains("prompts"));
  EXPECT_THAT(run(image + " --labels 超声 X光片 --quiet").err, Not(HasSubstr("is scored as")));
}

TEST_F(Program, ClassifyWarnsOfLabelsInAnotherScriptThatNobodyKnows) {
  const Result r = run("classify --json --quiet" + model() + picture("rgb.png") + " --labels 一二三 CT");
  EXPECT_EQ(r.status, 0);
  EXPECT_THAT(r.err, HasSubstr("label '一二三' is not in the label catalogue"));
  EXPECT_EQ(boost::json::parse(r.out).at("warnings").as_array().size(), 1u);
}

TEST_F(Program, LabelsListsTheCatalogue) {
  const Result all = run("labels");
  EXPECT_EQ(all.status, 0);
  EXPECT_GE(std::ranges::count(all.out, '\n'), 900);
  const Result some = run("labels --modality B超 --language de --search 'cyst liver' --quiet");
  EXPECT_EQ(some.out,
            "Ultraschall Leber Leberzyste  =  ultrasound liver liver cyst\n"
            "Ultraschall Leber hydatid cyst  =  ultrasound liver hydatid cyst\n");
  EXPECT_EQ(some.err, "");
  const Result json = run("labels --search sarcoidosis --modality x-ray --json");
  EXPECT_EQ(boost::json::parse(json.out).at("body_part").at(0).as_string(), "chest");
  EXPECT_THAT(json.err, HasSubstr("mii: 1 of "));
  EXPECT_EQ(run("labels --language xx").status, 2);
  EXPECT_EQ(run("labels --modality telepathy").status, 2);
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
    EXPECT_THAT(inputs_of(name), ElementsAre(picture("rgb.png")));
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
  write("broken.jpg", "no image");
  const Result r = run("embed" + model() + "--images " + picture("rgb.png") + " " + file("broken.jpg") + " " +
                       picture("grey.png") + " --output " + file("v.jsonl"));
  EXPECT_EQ(r.status, 3);
  EXPECT_THAT(r.err, HasSubstr("broken.jpg"));
  EXPECT_THAT(inputs_of("v.jsonl"), ElementsAre(picture("rgb.png"), picture("grey.png")));
  EXPECT_FALSE(fs::exists(folder_ / "v.jsonl.part"));
}

TEST_F(Program, ResumeComputesOnlyWhatIsMissingAndKeepsTheOrder) {
  for (const char* name : {"v.npy", "v.safetensors", "v.jsonl"}) {
    const std::string output = " --output " + file(name);
    EXPECT_EQ(run("embed" + model() + "--texts 'b' 'd'" + output).status, 0);
    const Result r = run("embed" + model() + "--texts 'a' 'b' 'c' 'd' --resume" + output);
    EXPECT_EQ(r.status, 0) << r.err;
    EXPECT_THAT(inputs_of(name), ElementsAre("a", "b", "c", "d"));
    const std::string resumed = text_of(folder_ / name);
    EXPECT_EQ(run("embed" + model() + "--texts 'a' 'b' 'c' 'd' --resume" + output).status, 0);
    EXPECT_EQ(text_of(folder_ / name), resumed) << "nothing was missing";
  }
}

TEST_F(Program, ResumeTakesUpWhatAKilledRunLeft) {
  EXPECT_EQ(run("embed" + model() + "--texts a --output " + file("v.npy")).status, 0);
  const std::string identity = text_of(folder_ / "v.npy.identity.json");
  write("v.npy.part", std::string(48 * 4, '\0') + "cut");
  write("v.npy.part.tsv", identity + "a\t\t\nb-cut-off");
  EXPECT_EQ(run("embed" + model() + "--texts a b --resume --output " + file("v.npy")).status, 0);
  const std::string npy = text_of(folder_ / "v.npy");
  EXPECT_EQ(npy.substr(npy.size() - 2 * 48 * 4, 48 * 4), std::string(48 * 4, '\0'))
      << "the row that was there is kept";
  EXPECT_NE(npy.substr(npy.size() - 48 * 4), std::string(48 * 4, '\0'));
}

TEST_F(Program, ResumeRefusesVectorsThatWereMadeBySomethingElse) {
  const std::string embed = "embed --images " + picture("rgb.png") + model() + " --output " + file("v.npy");
  ASSERT_EQ(run(embed + " --profile ct-lung").status, 0);
  const std::string before = text_of(folder_ / "v.npy");
  const Result r = run(embed + " --profile ct-bone --resume");
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("preprocessing: 'profile ct-lung', expected 'profile ct-bone'"));
  EXPECT_EQ(text_of(folder_ / "v.npy"), before);
  EXPECT_EQ(run(embed + " --profile ct-lung --resume").status, 0);
}

TEST_F(Program, ResumeComputesAFileAgainThatHasChanged) {
  fs::copy_file(picture("rgb.png"), folder_ / "a.png");
  const std::string embed = "embed --images " + file("a.png") + model() + " --output " + file("v.npy");
  ASSERT_EQ(run(embed).status, 0);
  const std::string before = text_of(folder_ / "v.npy");
  fs::copy_file(picture("grey.png"), folder_ / "a.png", fs::copy_options::overwrite_existing);
  ASSERT_EQ(run(embed + " --resume").status, 0);
  EXPECT_NE(text_of(folder_ / "v.npy"), before);
}

TEST_F(Program, TakesImagesFromAListAndFromAManifest) {
  write("list", picture("rgb.png") + "\n" + picture("grey.png") + "\r\n");
  const std::string output = model() + " --output " + file("v.npy");
  EXPECT_EQ(run("embed --images-from " + file("list") + output).status, 0);
  EXPECT_THAT(inputs_of("v.npy"), ElementsAre(picture("rgb.png"), picture("grey.png")));
  EXPECT_EQ(run("embed --images-from -" + output + " < " + file("list")).status, 0);
  EXPECT_EQ(inputs_of("v.npy").size(), 2u);
  write("table.csv", "path,note\n" + picture("rgb.png") + ",\"a, b\"\n" + picture("grey.png") + ",c\n");
  EXPECT_EQ(run("embed --manifest " + file("table.csv") + " --where note=c" + output).status, 0);
  EXPECT_THAT(inputs_of("v.npy"), ElementsAre(picture("grey.png")));
  EXPECT_EQ(run("classify --labels a b --json --manifest " + file("table.csv") + model()).status, 0);
  EXPECT_EQ(run("embed --where note=c --images-from " + file("list") + output).status, 2);
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

// A computation that nothing can break off: the plain loops, with a batch of images.
TEST_F(Program, AStopEndsWhatCannotBeBrokenOffWithinTwoSecondsAndResumeGoesOn) {
  using Clock = std::chrono::steady_clock;
  const std::string model = std::string(MII_SOURCE_DIR) + "/models/starter", output = file("v.npy");
  std::vector<std::string> images;
  for (int i = 0; i < 16; ++i) {
    images.push_back(file(("image-" + std::to_string(i) + ".png").c_str()));
    fs::copy_file(picture("rgb.png"), images.back());
  }
  const std::string embed =
      "embed --quiet --precision f32 --model " + model + " --output " + output + " --resume --images ";
  ASSERT_EQ(run(embed + images[0]).status, 0);
  const pid_t pid = fork();
  if (pid == 0) {
    std::vector<std::string> arguments{"mii",     "embed",    "--quiet",   "--backend", "reference",
                                       "--model", model,      "--threads", "1",         "--output",
                                       output,    "--resume", "--images"};
    arguments.insert(arguments.end(), images.begin(), images.end());
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    execv(MII_PROGRAM, pointers.data());
    _exit(127);
  }
  for (int i = 0;
       i < 1000 && (!fs::exists(folder_ / "v.npy.part") || fs::file_size(folder_ / "v.npy.part") == 0); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // into the computation
  kill(pid, SIGTERM);
  const auto stopped = Clock::now();
  int status = 0;
  waitpid(pid, &status, 0);
  const double seconds = std::chrono::duration<double>(Clock::now() - stopped).count();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_GT(seconds, 1) << "the computation ended by itself: the test shows nothing";
  EXPECT_LT(seconds, 2);
  std::string all;
  for (const std::string& image : images) all += " " + image;
  const Result r = run(embed + all);
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_EQ(std::ranges::count(text_of(folder_ / "v.npy.index.tsv"), '\n'), 17);
}

TEST_F(Program, ResumeTakesARunThatWasStoppedBeforeItsFirstRow) {
  write("v.npy.part", "");
  write("v.npy.part.tsv", "");
  const Result r = run("embed" + model() + "--texts a --resume --output " + file("v.npy"));
  EXPECT_EQ(r.status, 0) << r.err;
}

TEST_F(Program, AFifoIsNoImageAndIsNotWaitedFor) {
  ASSERT_EQ(mkfifo((folder_ / "fifo.png").c_str(), 0600), 0);
  for (const std::string& command : {std::string("inspect "), "classify --labels a" + model(),
                                     "embed --output " + file("v.npy") + model() + "--images "}) {
    const Result r = run(command + file("fifo.png"), "timeout 20 ");
    EXPECT_EQ(r.status, 3) << command;
    EXPECT_THAT(r.err, HasSubstr("not a regular file")) << command;
  }
}

// A folder beyond the longest path that the system takes cannot be read, not even by root.
TEST_F(Program, WhatCannotBeReadInAFolderIsAFailureAndTheRestIsTaken) {
  const std::string name(250, 'x');
  fs::create_directory(folder_ / "in");
  fs::copy_file(picture("rgb.png"), folder_ / "in" / "a.png");
  fs::copy_file(picture("grey.png"), folder_ / "in" / "z.png");
  ASSERT_EQ(mkfifo((folder_ / "in" / "fifo").c_str(), 0600), 0);
  fs::create_directory_symlink(folder_ / "in", folder_ / "in" / "circle");
  int at = open((folder_ / "in").c_str(), O_DIRECTORY | O_RDONLY);
  for (int depth = 0; depth < 17; ++depth) {
    ASSERT_EQ(mkdirat(at, name.c_str(), 0700), 0);
    const int below = openat(at, name.c_str(), O_DIRECTORY | O_RDONLY);
    close(at);
    at = below;
  }
  close(at);
  const Result embedded =
      run("embed --quiet" + model() + "--images " + file("in") + " --output " + file("v.npy"));
  EXPECT_EQ(embedded.status, 3);
  EXPECT_THAT(embedded.err, HasSubstr("File name too long"));
  EXPECT_EQ(std::ranges::count(text_of(folder_ / "v.npy.index.tsv"), '\n'), 3);
  const Result classified = run("classify --json" + model() + "--labels a b -- " + file("in"));
  EXPECT_EQ(classified.status, 3);
  EXPECT_EQ(std::ranges::count(classified.out, '\n'), 2);
  const Result inspected = run("inspect " + file("in"));
  EXPECT_EQ(inspected.status, 3);
  EXPECT_THAT(inspected.err, HasSubstr("File name too long"));
  shell("rm -rf " + file("in"));
}

TEST_F(Program, AFolderIsNoListOfTexts) {
  const Result r = run("embed" + model() + "--texts-file " + folder_.string() + " --output " + file("v.npy"));
  EXPECT_EQ(r.status, 1);
  EXPECT_THAT(r.err, HasSubstr("cannot be read"));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(Program, AnImageTooLargeForTheMemoryIsOnlyItsOwnFailure) {
  write("big.png", black_png(9900, 9900));
  // The image has 294 MB. One arena: each thread's own would take 64 MB of addresses.
  const std::string limit = "export MALLOC_ARENA_MAX=1; ulimit -v 300000; ";
  const std::string images = picture("rgb.png") + " " + file("big.png") + " " + picture("grey.png");
  const Result embedded =
      run("embed --threads 1" + model() + "--output " + file("v.npy") + " --images " + images, limit);
  EXPECT_EQ(embedded.status, 3) << embedded.err;
  EXPECT_THAT(embedded.err, HasSubstr("big.png: not enough memory for this image"));
  EXPECT_THAT(inputs_of("v.npy"), ElementsAre(picture("rgb.png"), picture("grey.png")));
  const Result inspected = run("inspect --json " + images, limit);
  EXPECT_EQ(inspected.status, 3) << inspected.err;
  EXPECT_THAT(inspected.err, HasSubstr("big.png: not enough memory for this image"));
  EXPECT_EQ(std::ranges::count(inspected.out, '\n'), 2);
}
#endif

TEST_F(Program, JsonIsValidUtf8WhateverFilesAreCalled) {
  const std::string name = file("M\xFCller\xC2\x9B.png");
  fs::copy_file(picture("rgb.png"), name);
  for (const std::string& command :
       {std::string("inspect --json "), "classify --json --labels a" + model() + " -- "}) {
    const Result r = run(command + name);
    EXPECT_EQ(r.status, 0) << r.err;
    boost::json::error_code error;
    boost::json::parse(r.out, error);  // which refuses invalid UTF-8
    EXPECT_FALSE(error) << command << r.out;
    EXPECT_THAT(r.out, HasSubstr("M\xEF\xBF\xBDller\\u009b.png"));
  }
}

TEST_F(Program, ControlCharactersReachNoTerminal) {
  const std::string name = file("\x1b[2J\x9b.png"), broken = file("\x1b]0;x\a.png");
  fs::copy_file(picture("rgb.png"), name);
  std::ofstream(broken) << "no image";
  const std::string label = "\x1b[31mred";
  for (const std::string& command :
       {std::string("inspect "), "classify --labels '" + label + "' b" + model() + " -- ",
        "embed --output " + file("v.npy") + model() + "--images "}) {
    const Result r = run(command + "'" + name + "' '" + broken + "'");
    EXPECT_EQ(r.status, 3) << command;
    EXPECT_THAT(r.out + r.err, HasSubstr("\\x1b")) << command;
    EXPECT_EQ((r.out + r.err).find_first_of("\x1b\a\x9b"), std::string::npos) << command;
  }
  EXPECT_THAT(text_of(folder_ / "v.npy.index.tsv"), HasSubstr(name)) << "an index holds names as they are";
  const Result wrong = run("classify --no-such-option='" + label + "'");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_EQ(wrong.err.find('\x1b'), std::string::npos);
}

TEST_F(Program, AFullDiskBehindTheOutputIsAFailure) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  write("manifest.tsv", "path\tpatient\tsource\tmodality\n" + picture("rgb.png") + "\ta\t\tUltrasound\n");
  for (const std::string& arguments :
       {std::string("--version"), std::string("--help"), std::string("embed --help"), "info" + model(),
        "inspect " + picture("rgb.png"), "inspect --json " + picture("rgb.png"),
        "classify --quiet --labels a" + model() + " -- " + picture("rgb.png"),
        "convert " + model_->folder().string() + " " + file("converted"),
        "eval --quiet --resamples 10 --field modality" + model() + file("manifest.tsv"),
        "bench --batch 1 --repeats 1" + model()}) {
    const Result r = shell(std::string(MII_PROGRAM) + " " + arguments + " >/dev/full 2>" + file("err"));
    EXPECT_EQ(r.status, 1) << arguments;
    EXPECT_THAT(r.err, HasSubstr("standard output cannot be written")) << arguments;
  }
}

// Also where SIGPIPE came ignored, as it does from some shells and supervisors.
TEST_F(Program, AReaderThatGoesAwayEndsTheProgramWithoutAWord) {
  shell("trap '' PIPE; { sleep 0.5; " + std::string(MII_PROGRAM) + " --help 2>" + file("err") +
        "; echo $? >" + file("status") + "; } | true");
  EXPECT_EQ(text_of(folder_ / "status"), "141\n");  // SIGPIPE
  EXPECT_EQ(text_of(folder_ / "err"), "");
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
  const auto& scorers = tasks[0].at("scorers").as_array();
  ASSERT_EQ(scorers.size(), 3u);
  const auto& neighbours = scorers[1];
  EXPECT_EQ(neighbours.at("name").as_string(), "5-NN embeddings");
  EXPECT_LT(neighbours.at("top1").at("value").as_double(), 1);  // the only Ultrasound has no other patient
  EXPECT_TRUE(neighbours.at("macro_auc").at("value").is_double());
  const auto& difference =
      tasks[0].at("comparisons").as_array()[1].at("top1");  // from the pixels' neighbours
  EXPECT_DOUBLE_EQ(difference.at("value").as_double(), neighbours.at("top1").at("value").as_double() -
                                                           scorers[2].at("top1").at("value").as_double());
  EXPECT_LE(difference.at("low").as_double(), difference.at("high").as_double());

  const Result none = run(eval + " --field finding");
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("no image has a label of any task"));
}

TEST_F(Program, EvalComparesPrecisionsSubgroupsAndNumbers) {
  write("manifest.tsv", "path\tpatient\tsource\tmodality\tage\n" + picture("rgb.png") +
                            "\ta\t\tUltrasound\t30\n" + picture("rgba.png") + "\tb\t\tX-Ray\t50\n" +
                            picture("grey.png") + "\tc\t\tX-Ray\t70\n");
  const std::string eval = "eval --resamples 10" + model() + file("manifest.tsv");
  const Result r =
      run(eval +
          " --field modality --number age --subgroup age:40 --prevalence X-Ray=0.05 --prevalence "
          "nobody=0.5 --compare-precision f32 --json " +
          file("report.json"));
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("--prevalence: no task has a label 'nobody'"));
  const auto report = boost::json::parse(text_of(file("report.json"))).as_object();
  EXPECT_GT(report.at("other").at("cosine").at("least").as_double(), 0.9);
  const auto& tasks = report.at("tasks").as_array();
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].at("scorers").as_array()[3].at("name").as_string(), "zero-shot, f32");
  EXPECT_EQ(tasks[0].at("subgroups").as_array()[1].at("value").as_string(), "from 40");
  const auto& labels = tasks[0].at("scorers").as_array()[0].at("labels").as_array();
  EXPECT_EQ(labels[1].at("point").at("prevalence").as_double(), 0.05);
  EXPECT_EQ(tasks[1].at("values").as_array()[0].at("name").as_string(), "5-NN embeddings");
  EXPECT_DOUBLE_EQ(tasks[1].at("values").as_array()[0].at("mae").at("value").as_double(), 20);
}

TEST_F(Program, EvalAsksAndFitsHeads) {
  std::string table = "path\tsplit\tmodality\tanatomy\n";
  const char* images[] = {"rgb.png", "grey.png", "bilevel.png", "rgba.png", "palette.png", "baseline.jpg"};
  for (size_t i = 0; i < 6; ++i)
    table += picture(images[i]) + (i < 4 ? "\ttrain\t" : "\teval\t") + (i % 2 == 0 ? "Ultrasound" : "X-Ray") +
             "\tchest\n";
  write("manifest.tsv", table);
  const Result fitted =
      run("fit --quiet --C 1 --calibration none --where split=train --field modality --out " +
          file("modality.head") + model() + file("manifest.tsv"));
  ASSERT_EQ(fitted.status, 0) << fitted.err;
  const std::string eval = "eval --quiet --resamples 10 --field modality --field anatomy --where split=eval" +
                           model() + file("manifest.tsv");
  const Result r =
      run(eval + " --neighbours-from split=train --head " + file("modality.head") +
          " --few-shot 1,all --repeats 2 --json " + file("report.json") + " --html " + file("page.html"));
  EXPECT_EQ(r.status, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("head modality.head less zero-shot: top-1 "));
  EXPECT_THAT(r.out, HasSubstr("note: head modality.head has no answer to this task"));
  EXPECT_THAT(r.out, HasSubstr("note: no head is fitted: there is one label only"));
  EXPECT_THAT(text_of(file("page.html")), HasSubstr("Heads fitted to few images"));
  const auto report = boost::json::parse(text_of(file("report.json"))).as_object();
  const auto& task = report.at("tasks").as_array()[0];
  EXPECT_EQ(task.at("scorers").as_array()[3].at("name").as_string(), "head modality.head");
  const auto& few = task.at("few_shot").as_object();
  EXPECT_EQ(boost::json::serialize(few.at("shots")), R"([1,"all"])");
  EXPECT_EQ(few.at("heads").as_array().size(), 5u);
  for (const auto& head : few.at("heads").as_array()) {
    EXPECT_EQ(head.at("top1").as_array()[0].as_array().size(), 2u);
    EXPECT_EQ(head.at("top1").as_array()[1].as_array().size(), 1u);
  }
  const Result alone = run(eval + " --few-shot 1");
  EXPECT_EQ(alone.status, 2);
  EXPECT_THAT(alone.err, HasSubstr("--few-shot needs --neighbours-from"));
  const Result none = run(eval + " --neighbours-from split=train --few-shot 1,0");
  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("expected numbers from 1 on, or all"));
}

TEST_F(Program, EvalRefusesWhatMakesNoFigure) {
  write("manifest.tsv", "path\tmodality\n" + picture("rgb.png") + "\tUltrasound\n");
  const auto refused = [&](const std::string& flags) {
    const Result r = run("eval --field modality" + model() + file("manifest.tsv") + " " + flags);
    EXPECT_EQ(r.status, 2) << flags;
    return r.err;
  };
  for (const char* prevalence : {"0", "1", "Ultrasound=1.5", "often"})
    EXPECT_THAT(refused(std::string("--prevalence ") + prevalence), HasSubstr("above 0 and below 1"));
  EXPECT_THAT(refused("--subgroup sex"), HasSubstr("has no column 'sex'"));
  EXPECT_THAT(refused("--subgroup modality:x"), HasSubstr("expected numbers behind the colon"));
  EXPECT_THAT(refused("--number age"), HasSubstr("has no column 'age'"));
  EXPECT_THAT(refused("-k 1,5"), HasSubstr("several numbers with --retrieval alone"));
  write("tasks.yaml", "tasks:\n- field: modality\n  number: true\n");
  EXPECT_THAT(refused("--retrieval --tasks " + file("tasks.yaml")), HasSubstr("is about a number"));
  EXPECT_THAT(refused("--retrieval -k 0"), HasSubstr("not in range 1 to 1000"));
  for (const char* of_answers :
       {"--number modality", "--subgroup modality", "--prevalence 0.5", "--few-shot 1"})
    EXPECT_THAT(refused(std::string("--retrieval ") + of_answers), HasSubstr("excludes"));
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
  const auto top1 = [&](size_t t) {
    return each[t].at("scorers").as_array()[0].at("top1").at("value").as_double();
  };
  EXPECT_DOUBLE_EQ(top1(3), (top1(0) + top1(1)) / 2);
  const auto auc = [&](size_t t) {
    return each[t].at("scorers").as_array()[0].at("macro_auc").at("value").as_double();
  };
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
        Wrong{"embed --model MODEL --texts a --images PICTURE --output OUT/v.npy", 2, "excludes"},
        Wrong{"embed --model MODEL --images OUT --output OUT/v.npy", 2, "no images"},
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
