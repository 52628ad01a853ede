// Starts a program in the guest itself for the agent: `berth-init --launch [options] -- PROGRAM [ARGUMENT...]`. The program becomes
// an orphan and so a child of init, as those that crun makes are. Everything that can go wrong goes wrong before it runs, and is told
// on fd 3: four bytes of its pid, and on failure four of the stage and four of errno; the end of the pipe alone is success. A file that is
// asked for has the pid from just before the program runs on: for an agent that comes after one which did not live to read fd 3.
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATUS_FD 3
#define GROUPS_MAX 1024
#define RLIMITS_MAX 32
#define EXIT_FAILED 127
#define EXIT_USAGE 64 /* EX_USAGE of sysexits.h */

/* As in berth.v1.StartFailure.Stage. */
enum stage { PROGRAM = 1, DIRECTORY = 2, USER = 3, RESOURCES = 4, RUNTIME = 5 };

struct limit {
  int kind;
  struct rlimit value;
};

struct launch {
  const char *cgroup; /* its cgroup.procs, or NULL */
  const char *directory;
  const char *pid_file; /* or NULL */
  const char *oom_score_adj;
  bool terminal;
  bool no_new_privileges;
  bool has_capabilities;
  uint64_t capabilities;
  uid_t uid;
  gid_t gid;
  mode_t umask;
  size_t group_count;
  gid_t groups[GROUPS_MAX];
  size_t limit_count;
  struct limit limits[RLIMITS_MAX];
  char *const *argv;
};

static int pid_fd = -1;
static int pid_length;

static noreturn void fail(enum stage stage, int error) {
  if (pid_fd >= 0 && ftruncate(pid_fd, 0) != 0) error = errno;
  uint32_t told[2] = {(uint32_t)stage, (uint32_t)error};
  ssize_t written = write(STATUS_FD, told, sizeof told);
  (void)written;
  _exit(EXIT_FAILED);
}

static noreturn void bad_usage(const char *what) {
  fprintf(stderr, "berth-init --launch: can't use %s\n", what);
  _exit(EXIT_USAGE);
}

static uint64_t number(const char *text, char **end, uint64_t most) {
  errno = 0;
  uint64_t value = strtoull(text, end, 10);
  if (*end == text || errno != 0 || value > most) bad_usage(text);
  return value;
}

static uint64_t whole_number(const char *text, uint64_t most) {
  char *end;
  uint64_t value = number(text, &end, most);
  if (*end != '\0') bad_usage(text);
  return value;
}

/* 1,2,3 */
static void read_groups(struct launch *how, const char *text) {
  while (*text != '\0') {
    char *end;
    if (how->group_count == GROUPS_MAX) bad_usage("so many groups");
    how->groups[how->group_count++] = (gid_t)number(text, &end, UINT32_MAX - 1u);
    if (*end == ',') end++;
    text = end;
  }
}

/* kind:soft:hard */
static void read_limit(struct launch *how, const char *text) {
  char *end;
  if (how->limit_count == RLIMITS_MAX) bad_usage("so many limits");
  struct limit *limit = &how->limits[how->limit_count++];
  limit->kind = (int)number(text, &end, RLIMIT_NLIMITS - 1);
  if (*end != ':') bad_usage(text);
  limit->value.rlim_cur = (rlim_t)number(end + 1, &end, UINT64_MAX);
  if (*end != ':') bad_usage(text);
  limit->value.rlim_max = (rlim_t)number(end + 1, &end, UINT64_MAX);
  if (*end != '\0') bad_usage(text);
}

static void parse(int argc, char **argv, struct launch *how) {
  int i = 0;
  for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
    const char *option = argv[i];
    if (strcmp(option, "--terminal") == 0) {
      how->terminal = true;
      continue;
    }
    if (strcmp(option, "--no-new-privileges") == 0) {
      how->no_new_privileges = true;
      continue;
    }
    const char *value = i + 1 < argc ? argv[++i] : NULL;
    if (value == NULL) bad_usage(option);
    if (strcmp(option, "--cgroup") == 0) how->cgroup = value;
    else if (strcmp(option, "--directory") == 0) how->directory = value;
    else if (strcmp(option, "--pid-file") == 0) how->pid_file = value;
    else if (strcmp(option, "--oom-score-adj") == 0) how->oom_score_adj = value;
    else if (strcmp(option, "--uid") == 0) how->uid = (uid_t)whole_number(value, UINT32_MAX - 1u);
    else if (strcmp(option, "--gid") == 0) how->gid = (gid_t)whole_number(value, UINT32_MAX - 1u);
    else if (strcmp(option, "--groups") == 0) read_groups(how, value);
    else if (strcmp(option, "--umask") == 0) how->umask = (mode_t)whole_number(value, 0777);
    else if (strcmp(option, "--limit") == 0) read_limit(how, value);
    else if (strcmp(option, "--capabilities") == 0) {
      how->has_capabilities = true;
      how->capabilities = whole_number(value, UINT64_MAX);
    } else bad_usage(option);
  }
  if (i + 1 >= argc) bad_usage("no program");
  how->argv = argv + i + 1;
}

static void write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail(RESOURCES, errno);
  close(fd);
}

/* No pid for a reader until it is cut to one: RLIMIT_FSIZE, which is set later, may forbid a write by then, but no cut. */
static void announce_pid(const char *path) {
  pid_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (pid_fd >= 0) pid_length = dprintf(pid_fd, "%d", getpid());
  if (pid_fd >= 0 && pid_length > 0 && dprintf(pid_fd, " not yet") > 0) return;
  // On a full file system a program runs all the same: it may be there to make room.
  if (errno != ENOSPC) fail(RESOURCES, errno);
  if (pid_fd >= 0 && (ftruncate(pid_fd, 0) != 0 || close(pid_fd) != 0)) fail(RESOURCES, errno);
  pid_fd = -1;
}

static void take_resources(const struct launch *how) {
  if (how->pid_file != NULL) announce_pid(how->pid_file);
  if (how->cgroup != NULL) write_text(how->cgroup, "0");
  if (how->oom_score_adj != NULL) write_text("/proc/self/oom_score_adj", how->oom_score_adj);
  if (setsid() < 0) fail(RESOURCES, errno);
  if (how->terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) != 0) fail(RESOURCES, errno);
  for (size_t i = 0; i < how->limit_count; i++) {
    // The type of setrlimit's first argument is an enum of glibc's own.
    if (syscall(SYS_prlimit64, 0, how->limits[i].kind, &how->limits[i].value, NULL) != 0) fail(RESOURCES, errno);
  }
  umask(how->umask);
}

static bool has_capability(const struct launch *how, int capability) {
  return capability < 64 && ((how->capabilities >> capability) & 1u) != 0;
}

static void drop_bounding(const struct launch *how) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    if (has_capability(how, capability)) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) fail(USER, errno);
  }
}

static void set_capabilities(const struct launch *how) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
  for (int half = 0; half < 2; half++) {
    uint32_t bits = (uint32_t)(how->capabilities >> (32 * half));
    data[half].effective = bits;
    data[half].permitted = bits;
  }
  if (syscall(SYS_capset, &header, data) != 0) fail(USER, errno);
}

static void become_user(const struct launch *how) {
  if (how->has_capabilities) {
    drop_bounding(how);
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) fail(USER, errno);
  }
  if (setgroups(how->group_count, how->groups) != 0) fail(USER, errno);
  if (setresgid(how->gid, how->gid, how->gid) != 0) fail(USER, errno);
  if (setresuid(how->uid, how->uid, how->uid) != 0) fail(USER, errno);
  if (how->has_capabilities) set_capabilities(how);
  if (how->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(USER, errno);
}

static const char *path_of_environment(void) {
  const char *path = getenv("PATH");
  return path != NULL && *path != '\0' ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* Not execvp: that runs a file that is no program as a shell script. */
static noreturn void run(const struct launch *how) {
  const char *name = how->argv[0];
  if (strchr(name, '/') != NULL) {
    execv(name, how->argv);
    fail(PROGRAM, errno);
  }
  int error = ENOENT;
  for (const char *at = path_of_environment(); at != NULL;) {
    const char *end = strchrnul(at, ':');
    char file[PATH_MAX];
    int length = snprintf(file, sizeof file, "%.*s%s%s", (int)(end - at), at, end > at ? "/" : "./", name);
    if (length > 0 && (size_t)length < sizeof file) {
      execv(file, how->argv);
      // One that may not be run counts only if there is no other.
      if (errno == EACCES) error = EACCES;
      else if (errno != ENOENT && errno != ENOTDIR) fail(PROGRAM, errno);
    }
    at = *end == ':' ? end + 1 : NULL;
  }
  fail(PROGRAM, error);
}

noreturn void launch(int argc, char **argv) {
  static struct launch how = {.umask = 022};
  parse(argc, argv, &how);
  if (fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC) != 0) bad_usage("fd 3");
  pid_t pid = fork();
  if (pid < 0) fail(RESOURCES, errno);
  if (pid > 0) _exit(0);
  uint32_t own = (uint32_t)getpid();
  if (write(STATUS_FD, &own, sizeof own) != (ssize_t)sizeof own) _exit(EXIT_FAILED);
  take_resources(&how);
  become_user(&how);
  if (how.directory != NULL && chdir(how.directory) != 0) fail(DIRECTORY, errno);
  if (pid_fd >= 0 && ftruncate(pid_fd, pid_length) != 0) fail(RESOURCES, errno);
  run(&how);
}
