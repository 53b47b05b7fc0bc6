#include "trainer.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "commands.h"
#include "interrupt.h"
#include "mii/error.h"

namespace mii {
namespace {

namespace fs = std::filesystem;

// A program's name and its arguments, as the system wants them.
class Line {
 public:
  explicit Line(std::vector<std::string> arguments) : words_(std::move(arguments)) {
    words_.insert(words_.begin(), trainer_path().string());
    for (std::string& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
  }
  char** pointers() { return pointers_.data(); }
  [[noreturn]] void fail(int reason) const {
    throw Error(ErrorCode::io, words_.front() + ": cannot be started: " + std::strerror(reason));
  }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

}  // namespace

fs::path trainer_path() {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  for (const auto& path : {self.parent_path() / "mii-train", self.parent_path() / "train" / "mii-train"})
    if (fs::exists(path)) return path;
  throw Error(ErrorCode::unsupported,
              "no mii-train beside " + self.string() +
                  ": this build has no trainer (it needs LibTorch; see docs/training.md)");
}

void become_trainer(std::vector<std::string> arguments) {
  Line line(std::move(arguments));
  execv(line.pointers()[0], line.pointers());
  line.fail(errno);
}

int run_trainer(std::vector<std::string> arguments) {
  Line line(std::move(arguments));
  pid_t child = 0;
  if (const int reason = posix_spawn(&child, line.pointers()[0], nullptr, nullptr, line.pointers(), environ);
      reason != 0)
    line.fail(reason);
  int status = 0;
  bool told = false;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (interrupted() && !std::exchange(told, true)) kill(child, SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(kFailed);
}

}  // namespace mii
