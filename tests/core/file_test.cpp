#include "core/file.h"

#include <csignal>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

// A limit on the size of files stands for the full disk.
TEST(AtomicFile, FullDiskIsReported) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto path = scratch("full");
  const std::string block(1 << 20, 'x');
  EXPECT_THROW(
      {
        AtomicFile file(path);
        for (int i = 0; i < 4; ++i) file.write(block);
        file.commit();
      },
      Error);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".tmp-1"));
}

TEST(AtomicFile, WhatAKilledWriterLeftIsRemovedByTheNext) {
  const auto path = scratch("killed");
  const pid_t pid = fork();
  if (pid == 0) {
    AtomicFile file(path);
    file.write("half");
    raise(SIGKILL);
  }
  waitpid(pid, nullptr, 0);
  const std::string left = path.string() + ".tmp-1";
  ASSERT_TRUE(std::filesystem::exists(left));
  AtomicFile file(path);
  file.write("whole");
  file.commit();
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_EQ(read_text_file(path, 100), "whole");
  std::filesystem::remove(path);
}

TEST(AtomicFile, TwoWritersDoNotTouchEachOthersFile) {
  const auto path = scratch("two");
  AtomicFile first(path);
  first.write("first");
  AtomicFile second(path);
  second.write("second");
  second.commit();
  EXPECT_EQ(read_text_file(path, 100), "second");
  first.commit();
  EXPECT_EQ(read_text_file(path, 100), "first");
  std::filesystem::remove(path);
}

// Somebody else's link under the temporary name is neither followed nor removed.
TEST(AtomicFile, ALinkUnderTheTemporaryNameIsNotFollowed) {
  const auto path = scratch("planted"), victim = scratch("victim");
  std::ofstream(victim) << "precious";
  const std::string planted = path.string() + ".tmp-1";
  std::filesystem::create_symlink(victim, planted);
  AtomicFile file(path);
  file.write("mine");
  file.commit();
  EXPECT_EQ(read_text_file(victim, 100), "precious");
  EXPECT_EQ(read_text_file(path, 100), "mine");
  for (const std::string& name : {path.string(), victim.string(), planted}) std::filesystem::remove(name);
}

TEST(ReadFile, AFifoIsRefusedAndNotWaitedFor) {
  const auto path = scratch("fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(read_file(path, 100), Error);
  EXPECT_THROW(read_start(path, 100), Error);
  EXPECT_THROW(MappedFile::open(path), Error);
  std::filesystem::remove(path);
}

TEST(ReadFile, TheStartOfAFileIsNoLongerThanTheFile) {
  const auto path = scratch("start");
  std::ofstream(path) << "0123456789";
  EXPECT_EQ(read_start(path, 4).size(), 4u);
  EXPECT_EQ(read_start(path, 100).size(), 10u);
  std::filesystem::remove(path);
}

TEST(ReadFile, RefusesWhatIsTooLarge) {
  const auto path = scratch("large");
  std::ofstream(path) << "0123456789";
  EXPECT_EQ(read_file(path, 10).size(), 10u);
  EXPECT_THROW(read_file(path, 9), Error);
  EXPECT_THROW(read_file(path.parent_path(), 1000), Error);
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
