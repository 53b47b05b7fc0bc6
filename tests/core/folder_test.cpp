#include "core/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace mii {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class WalkFolder : public testing::Test {
 protected:
  WalkFolder() : top_(fs::path(testing::TempDir()) / ("walk-" + std::to_string(getpid()))) {
    fs::remove_all(top_);
    fs::create_directories(top_ / "b" / "c");
    for (const char* name : {"d", "a", "b/c/e"}) std::ofstream(top_ / name) << "x";
  }
  ~WalkFolder() override {
    std::error_code none;
    fs::permissions(top_ / "b", fs::perms::owner_all, none);
    fs::remove_all(top_);
  }

  fs::path top_;
};

TEST_F(WalkFolder, FindsFilesInOrder) {
  const FolderWalk found = walk_folder(top_);
  EXPECT_THAT(found.files, ElementsAre(top_ / "a", top_ / "b" / "c" / "e", top_ / "d"));
  EXPECT_THAT(found.unreadable, IsEmpty());
}

TEST_F(WalkFolder, LinksInCirclesFifosAndLinksToNothingAreNoTrouble) {
  fs::create_directory_symlink(top_, top_ / "b" / "up");
  fs::create_symlink("self", top_ / "self");
  fs::create_symlink("nothing", top_ / "dangling");
  fs::create_symlink("a", top_ / "link");
  ASSERT_EQ(mkfifo((top_ / "fifo").c_str(), 0600), 0);
  const FolderWalk found = walk_folder(top_);
  EXPECT_THAT(found.files, ElementsAre(top_ / "a", top_ / "b" / "c" / "e", top_ / "d", top_ / "link"));
  EXPECT_THAT(found.unreadable, IsEmpty());
}

TEST_F(WalkFolder, AFolderThatCannotBeReadIsNamedAndTheRestIsWalked) {
  fs::permissions(top_ / "b", fs::perms::none);
  constexpr uid_t kNobody = 65534;
  const uid_t before = geteuid();
  ASSERT_EQ(seteuid(before == 0 ? kNobody : before), 0);  // root reads everything
  const FolderWalk found = walk_folder(top_);
  ASSERT_EQ(seteuid(before), 0);
  EXPECT_THAT(found.files, ElementsAre(top_ / "a", top_ / "d"));
  ASSERT_EQ(found.unreadable.size(), 1u);
  EXPECT_EQ(found.unreadable[0].path, top_ / "b");
  EXPECT_EQ(found.unreadable[0].reason, "Permission denied");
}

}  // namespace
}  // namespace mii
