// What the files of berth-init share: its log, clock, /proc reading and the entry of each part.
#ifndef BERTH_INIT_H
#define BERTH_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#define CGROUP_DIR "/sys/fs/cgroup"
#define STAGE1_DIR "/berth-stage1"

// log.c
void log_open(void);
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with the text of errno at the end; leaves errno as it is. */
void log_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

// clock.c
int64_t monotonic_ms(void);
uint64_t boottime_ms(void);
uint64_t realtime_ns(void);
void sleep_ms(long ms);

// proc.c
/* Start time of a process in ticks since boot, a zombie's too; 0 when there is no such process. */
uint64_t proc_start_time(pid_t pid);
/* Whole file into `buffer`, cut at size - 1 and NUL-terminated; its length, or -1 with errno. */
ssize_t read_small_file(const char *path, char *buffer, size_t size);
/* Value of `key` in a kernel command line ("" for a bare word), copied to `value`; the last one wins. */
bool cmdline_value(const char *cmdline, const char *key, char *value, size_t size);

// power.c
/* Ends every process, syncs with a deadline and stops the machine. PID 1 only. */
noreturn void power_off(bool restart);

// mounts.c, modules.c, pid1.c, stage1.c
void mount_kernel_views(void); /* /proc, /sys and /dev */
void mount_early(void);        /* those and the rest */
void mount_cgroup(void);
/* Lets the cgroups below this one have what it has. */
void delegate_controllers(const char *directory);
void load_modules(void);
void pid1_setup(void);
noreturn void stage1(uint64_t started_ms);

// protect.c, of PID 1; as a subreaper these do nothing
void protect_setup(void);
/* Works the limits of the workload out anew, if the machine has other memory than before. */
void protect_resized(void);
/* In the process that becomes the agent. */
void protect_agent(void);

// launch.c
/* Runs a program of the guest itself as it is asked for in `argv`, the options. */
noreturn void launch(int argc, char **argv);

// supervise.c
struct supervision {
  char *const *argv;    /* argv[0] is the name the agent sees, `file` what is run */
  const char *file;     /* searched in PATH when it has no slash */
  char *const *env;
  size_t env_count;
  uint64_t started_ms;
  const char *pid_file; /* or NULL: holds the agent's pid */
  bool pid1;
  bool restart;
  unsigned restart_limit; /* deaths in a row, each within stable_ms of its start, before giving up */
  long max_delay_ms;
  long stable_ms;
  long watchdog_ms; /* what an agent may be silent for; 0: any time */
  long trial_ms; /* what an agent in place of the command's has to get to work; 0: any time */
  long grace_ms; /* from being told to stop to SIGKILL */
};

enum ending { ENDED_AGENT, ENDED_POWER_OFF, ENDED_RESTART, ENDED_GAVE_UP };

/* Runs the agent until there is nothing more to run; `code` gets the exit code for our own parent. */
enum ending supervise(const struct supervision *how, int *code);

#endif
