#include "dataset/manifest.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "mii/error.h"

namespace mii {
namespace {

using testing::HasSubstr;

class ManifestTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  Manifest read(const std::string& text, const std::vector<std::string>& where = {}) {
    std::ofstream(path_) << text;
    return Manifest::read(path_, where);
  }
  std::string refusal(const std::string& text) {
    try {
      read(text);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("mii-manifest-" + std::to_string(getpid()) + ".tsv");
};

TEST_F(ManifestTest, ReadsRowsWithPathsBesideTheTable) {
  const Manifest m = read("path\tsplit\tfinding\r\na/b.jpg\ttrain\t\r\n\nc.jpg\teval\tx \"y\"\n");
  ASSERT_EQ(m.rows(), 2u);
  EXPECT_EQ(m.path(0), path_.parent_path() / "a/b.jpg");
  EXPECT_EQ(m.at(0, "finding"), "");
  EXPECT_EQ(m.at(1, "finding"), "x \"y\"");
  EXPECT_EQ(m.at(1, "no such column"), "");
}

TEST_F(ManifestTest, KeepsRowsThatMeetAllConditions) {
  const std::string table = "path\tsplit\na\ttrain\nb\teval\nc\tother\n";
  const Manifest m = read(table, {"split=train,other"});
  ASSERT_EQ(m.rows(), 2u);
  EXPECT_EQ(m.at(1, "path"), "c");
  EXPECT_EQ(read(table, {"split=train,other", "path=c"}).rows(), 1u);
  EXPECT_THROW(read(table, {"split"}), Error);
  EXPECT_THROW(read(table, {"colour=red"}), Error);
  EXPECT_THROW(read(table, {"split=train", "split=eval"}), Error);
}

TEST_F(ManifestTest, SaysWhichRowsMeetAConditionAndWhoseTheyAre) {
  const Manifest m = read("path,patient,source,split\na.png,7,here,train\nb.png,,here,eval\n");
  EXPECT_THAT(m.meets("split=eval,other"), testing::ElementsAre(false, true));
  EXPECT_THROW(m.meets("split=other"), Error);
  EXPECT_EQ(m.group(0), "here/7");
  EXPECT_EQ(m.group(1), "b.png");
}

TEST_F(ManifestTest, RefusesWhatIsNoTableWithTheLine) {
  EXPECT_THAT(refusal("path\tsplit\na\n"), HasSubstr(":2: has 1 values, expected 2"));
  EXPECT_THAT(refusal("file\tsplit\na\tb\n"), HasSubstr(":1: expected"));
  EXPECT_THAT(refusal("path\tpath\na\tb\n"), HasSubstr("named twice"));
  EXPECT_THAT(refusal("path\n"), HasSubstr("no rows"));
  EXPECT_THAT(refusal(""), HasSubstr("no rows"));
}

}  // namespace
}  // namespace mii
