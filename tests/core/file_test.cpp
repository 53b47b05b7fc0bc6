#include "core/file.h"

#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mii/error.h"

namespace mii {
namespace {

std::filesystem::path scratch(const std::string& name) {
  return std::filesystem::path(testing::TempDir()) / (name + "-" + std::to_string(::getpid()));
}

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  const auto path = scratch("atomic");
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  AtomicFile file(path);
  file.write("whole");
  file.commit();
  EXPECT_EQ(read_text_file(path, 100), "whole");
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(path.filename().string() + ".tmp"));
  }
  std::filesystem::remove(path);
}

TEST(AtomicFile, UnwritableFolderIsFoundAtOnce) {
  try {
    AtomicFile file("/nonexistent-folder/x");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::io);
    EXPECT_NE(std::strstr(e.what(), "/nonexistent-folder/x"), nullptr);
  }
}

TEST(AtomicFile, FullDiskIsReported) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  std::FILE* full = std::fopen("/dev/full", "wb");
  ASSERT_NE(full, nullptr);
  std::fclose(full);
  // /dev/full cannot be renamed over, so the reserve folder is a link to it.
  const auto path = scratch("full");
  std::filesystem::path temporary = path;
  temporary += ".tmp-" + std::to_string(::getpid());
  std::filesystem::create_symlink("/dev/full", temporary);
  AtomicFile file(path);
  const std::string block(1 << 20, 'x');
  EXPECT_THROW(
      {
        for (int i = 0; i < 4; ++i) file.write(block);
        file.commit();
      },
      Error);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ReadFile, RefusesWhatIsTooLarge) {
  const auto path = scratch("large");
  std::ofstream(path) << "0123456789";
  EXPECT_EQ(read_file(path, 10).size(), 10u);
  EXPECT_THROW(read_file(path, 9), Error);
  EXPECT_THROW(read_file(path.parent_path(), 1000), Error);
  std::filesystem::remove(path);
}

// Opened in the usual way a pipe would make this wait until somebody writes to it.
TEST(ReadFile, RefusesAPipeAtOnce) {
  const auto path = scratch("pipe");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(read_file(path, 1000), Error);
  EXPECT_THROW(MappedFile::open(path), Error);
  std::filesystem::remove(path);
}

TEST(MappedFile, HoldsTheWholeFile) {
  const auto path = scratch("mapped");
  std::ofstream(path) << std::string(100000, 'm');
  const MappedFile file = MappedFile::open(path);
  EXPECT_EQ(file.bytes().size(), 100000u);
  EXPECT_EQ(file.bytes()[99999], std::byte{'m'});
  std::filesystem::remove(path);
  EXPECT_THROW(MappedFile::open(path), Error);
}

}  // namespace
}  // namespace mii
