// berth-init: PID 1 of a guest, the init of its initramfs, the subreaper over an agent anywhere else, or the way a program
// of the guest itself is started.
#define _GNU_SOURCE
#include "init.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define AGENT_DIR "/usr/lib/berth"
#define WATCHDOG_MS 30000
#define TRIAL_MS 60000
#define EXIT_USAGE 64 /* EX_USAGE of sysexits.h */

extern char **environ;

static const char usage[] =
  "usage: berth-init [options] -- COMMAND [ARGUMENT...]\n"
  "Runs COMMAND as the agent, restarts it when it dies, and reaps its orphans. As PID 1 it takes no arguments.\n"
  "  --pid-file FILE      write the agent's pid there at each start\n"
  "  --no-restart         exit with the agent's exit code (128 + n for signal n) instead\n"
  "  --restart-limit N    give up after N deaths in a row (10); exit code 69\n"
  "  --max-delay MS       longest pause before a restart (5000)\n"
  "  --stable-after MS    an agent that lived so long starts a new count (30000)\n"
  "  --watchdog MS        end an agent that has sent nothing for so long, 0 never does (30000)\n"
  "  --upgrade-trial MS   end an agent in the command's place that is not at work by then, 0 never does (60000)\n"
  "  --stop-grace MS      from being told to stop to SIGKILL (10000)\n";

static noreturn void bad_usage(const char *what, const char *which) {
  fprintf(stderr, "berth-init: %s %s\n%s", what, which, usage);
  exit(EXIT_USAGE);
}

static long number(const char *option, const char *text, long least) {
  char *end = NULL;
  long value = text == NULL ? -1 : strtol(text, &end, 10);
  if (text == NULL || end == text || *end != '\0' || value < least || value > INT_MAX) {
    bad_usage("a number is wanted after", option);
  }
  return value;
}

static void parse(int argc, char **argv, struct supervision *how) {
  int i = 1;
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *option = argv[i];
    if (strcmp(option, "--no-restart") == 0) {
      how->restart = false;
      continue;
    }
    const char *value = argv[i + 1];
    if (strcmp(option, "--pid-file") == 0 && value != NULL) how->pid_file = value;
    else if (strcmp(option, "--restart-limit") == 0) how->restart_limit = (unsigned)number(option, value, 1);
    else if (strcmp(option, "--max-delay") == 0) how->max_delay_ms = number(option, value, 0);
    else if (strcmp(option, "--stable-after") == 0) how->stable_ms = number(option, value, 0);
    else if (strcmp(option, "--watchdog") == 0) how->watchdog_ms = number(option, value, 0);
    else if (strcmp(option, "--upgrade-trial") == 0) how->trial_ms = number(option, value, 0);
    else if (strcmp(option, "--stop-grace") == 0) how->grace_ms = number(option, value, 0);
    else bad_usage("can't use the option", option);
    i++;
  }
  if (i + 1 >= argc) bad_usage("missing", "-- COMMAND");
  how->argv = argv + i + 1;
  how->file = argv[i + 1];
}

static size_t env_count(char *const *env) {
  size_t count = 0;
  while (env[count] != NULL) count++;
  return count;
}

/* A number of the kernel command line, 0 to `most`. */
static long of_cmdline(const char *key, long most, long otherwise) {
  static char cmdline[8192];
  char text[16];
  char *end;
  if (read_small_file("/proc/cmdline", cmdline, sizeof cmdline) < 0) return otherwise;
  if (!cmdline_value(cmdline, key, text, sizeof text)) return otherwise;
  long value = strtol(text, &end, 10);
  if (end != text && *end == '\0' && value >= 0 && value <= most) return value;
  log_line("%s=%s is no number up to %ld; it stays %ld", key, text, most, otherwise);
  return otherwise;
}

static noreturn void run_pid1(struct supervision *how) {
  static char *const argv[] = {"kata-agent", "--max-semi-space-size=1", "--max-old-space-size=64", "--v8-pool-size=1",
                               AGENT_DIR "/main.js", NULL};
  static char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                              "NODE_COMPILE_CACHE=" AGENT_DIR "/cache", "UV_THREADPOOL_SIZE=16", "UV_USE_IO_URING=0",
                              NULL};
  const char *stage1_started = getenv("BERTH_INIT_UPTIME_MS");
  if (stage1_started != NULL) how->started_ms = strtoull(stage1_started, NULL, 10);
  pid1_setup();
  how->pid1 = true;
  how->watchdog_ms = of_cmdline("berth-init.watchdog", 86400, WATCHDOG_MS / 1000) * 1000;
  how->restart_limit = (unsigned)of_cmdline("berth-init.restart-limit", 1000000, how->restart_limit);
  how->max_delay_ms = of_cmdline("berth-init.max-delay", 86400000, how->max_delay_ms);
  how->argv = argv;
  how->file = AGENT_DIR "/node";
  how->env = env;
  how->env_count = env_count(env);
  int code;
  enum ending ending = supervise(how, &code);
  power_off(ending == ENDED_RESTART);
}

int main(int argc, char **argv) {
  struct supervision how = {
    .started_ms = boottime_ms(),
    .restart = true,
    .restart_limit = 10,
    .max_delay_ms = 5000,
    .stable_ms = 30000,
    .watchdog_ms = WATCHDOG_MS,
    .trial_ms = TRIAL_MS,
    .grace_ms = 10000,
  };
  if (getpid() == 1) {
    if (access(STAGE1_DIR, F_OK) == 0) stage1(how.started_ms);
    run_pid1(&how);
  }
  if (argc > 1 && strcmp(argv[1], "--launch") == 0) launch(argc - 2, argv + 2);
  log_open();
  parse(argc, argv, &how);
  how.env = environ;
  how.env_count = env_count(environ);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) log_errno("can't become a subreaper");
  int code = 0;
  supervise(&how, &code);
  return code;
}
