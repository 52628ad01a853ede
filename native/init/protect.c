// What keeps the workload from taking the agent with it (cgroup-v2.rst). Everything that containers and guest processes are lies below one
// cgroup, which leaves memory and pids to the agent; the agent has one of its own, and is the last that runs out of memory.
#define _GNU_SOURCE
#include "init.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGENT CGROUP_DIR "/agent"
#define WORKLOAD CGROUP_DIR "/workload" /* agent/container/spec/context.ts knows the name too */
#define RESERVE_MAX (160ull << 20)      /* bytes: the agent, its tools, and what the kernel books to nobody */
#define RESERVE_PIDS_MAX 512ull
#define PIDS_PASSED_OVER 300ull
#define SHARE 4 /* of a small machine no more than a quarter is kept back */

static bool protecting;
static unsigned long long memory_seen;

static void set(const char *file, const char *value) {
  int fd = open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, value, strlen(value)) < 0) log_errno("can't write %s to %s", value, file);
  if (fd >= 0) close(fd);
}

static void set_number(const char *file, unsigned long long value) {
  char text[24];
  snprintf(text, sizeof text, "%llu", value);
  set(file, text);
}

static unsigned long long reserve_of(unsigned long long total, unsigned long long most) {
  return total / SHARE < most ? total / SHARE : most;
}

/* 0 when it can't be told. */
static unsigned long long number_in(const char *path, const char *before) {
  char text[4096];
  if (read_small_file(path, text, sizeof text) < 0) return 0;
  const char *at = strstr(text, before);
  return at == NULL ? 0 : strtoull(at + strlen(before), NULL, 10);
}

static void keep_pids(void) {
  unsigned long long pids = number_in("/proc/sys/kernel/pid_max", "");
  // Once the numbers have come round, the lowest are not given out again (RESERVED_PIDS of kernel/pid.c).
  if (pids > 2 * PIDS_PASSED_OVER) pids -= PIDS_PASSED_OVER;
  unsigned long long threads = number_in("/proc/sys/kernel/threads-max", "");
  unsigned long long most = threads < pids ? threads : pids;
  if (most != 0) set_number(WORKLOAD "/pids.max", most - reserve_of(most, RESERVE_PIDS_MAX));
}

void protect_resized(void) {
  if (!protecting) return;
  unsigned long long total = number_in("/proc/meminfo", "MemTotal:") << 10;
  if (total == 0 || total == memory_seen) return;
  memory_seen = total;
  unsigned long long reserve = reserve_of(total, RESERVE_MAX);
  set_number(AGENT "/memory.min", reserve / 2);
  set_number(WORKLOAD "/memory.max", total - reserve);
}

void protect_setup(void) {
  if ((mkdir(AGENT, 0755) != 0 || mkdir(WORKLOAD, 0755) != 0) && access(WORKLOAD, F_OK) != 0) {
    log_errno("can't make the cgroups of the agent and of the workload");
    return;
  }
  protecting = true;
  delegate_controllers(WORKLOAD);
  set(AGENT "/cpu.weight", "1000"); /* ten times what all of the workload has */
  keep_pids();
  protect_resized();
}

void protect_agent(void) {
  if (!protecting) return;
  set(AGENT "/cgroup.procs", "0");
  // The addon gives it to nothing that the agent starts (native/addon/spawn.cc).
  set("/proc/self/oom_score_adj", "-997");
}
