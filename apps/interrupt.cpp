#include "interrupt.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <csignal>

#include "commands.h"

namespace mii {
namespace {

constexpr itimerspec kGrace{.it_interval = {}, .it_value = {.tv_sec = 1, .tv_nsec = 500'000'000}};

volatile std::sig_atomic_t requested = 0;
timer_t grace;

// Only what a signal handler may call, here and below.
extern "C" void end_now(int) {
  constexpr char kText[] = "mii: interrupted\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kText, sizeof kText - 1);
  _exit(kInterrupted);
}

// A second signal changes nothing: timeout(1), for one, sends each twice.
extern "C" void on_signal(int) {
  if (requested == 0) timer_settime(grace, 0, &kGrace, nullptr);
  requested = 1;
}

}  // namespace

void catch_interrupts() {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  timer_create(CLOCK_MONOTONIC, &event, &grace);
  std::signal(SIGALRM, end_now);
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  // A program that starts this one may have blocked them.
  sigset_t needed;
  sigemptyset(&needed);
  for (const int signal : {SIGALRM, SIGINT, SIGTERM}) sigaddset(&needed, signal);
  sigprocmask(SIG_UNBLOCK, &needed, nullptr);
}

bool interrupted() { return requested != 0; }

}  // namespace mii
