// The end of the machine: processes, then file systems, then power.
#define _GNU_SOURCE
#include "init.h"

#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define TERM_GRACE_MS 2000
#define KILL_GRACE_MS 1000
#define SYNC_LIMIT_MS 10000

/* Reaps until `pid` (-1: everything) is gone or the time is over. */
static bool reap_until(pid_t pid, int64_t limit_ms) {
  int64_t end = monotonic_ms() + limit_ms;
  for (;;) {
    pid_t gone = waitpid(pid, NULL, WNOHANG | __WALL);
    if (gone < 0 || (gone > 0 && gone == pid)) return true;
    if (gone > 0) continue;
    if (monotonic_ms() >= end) return false;
    sleep_ms(5);
  }
}

noreturn void power_off(bool restart) {
  kill(-1, SIGTERM);
  kill(-1, SIGCONT);
  if (!reap_until(-1, TERM_GRACE_MS)) {
    kill(-1, SIGKILL);
    if (!reap_until(-1, KILL_GRACE_MS)) log_line("some processes can't be killed; going on without them");
  }
  // A sync that hangs on a dead disk must not keep the machine up: it is done by a child.
  pid_t child = fork();
  if (child == 0) {
    sync();
    _exit(0);
  }
  if (child > 0 && !reap_until(child, SYNC_LIMIT_MS)) log_line("sync took over %d ms; going on without it", SYNC_LIMIT_MS);
  log_line("%s", restart ? "restart" : "power off");
  reboot(restart ? RB_AUTOBOOT : RB_POWER_OFF);
  log_errno("the machine can't be switched off");
  for (;;) pause();
}
