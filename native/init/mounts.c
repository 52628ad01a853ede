// The file systems a guest needs before anything else runs, in the order of kata's agent.
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct early_mount {
  const char *source;
  const char *target;
  const char *type;
  unsigned long flags;
  const char *data;
  long magic;
};

static const struct early_mount early[] = {
  {"proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", PROC_SUPER_MAGIC},
  {"sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", SYSFS_MAGIC},
  {"dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755", TMPFS_MAGIC},
  {"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", TMPFS_MAGIC},
  {"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666", DEVPTS_SUPER_MAGIC},
  {"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755", TMPFS_MAGIC},
  {"tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", TMPFS_MAGIC},
};

#define KERNEL_VIEWS 3 /* the first so many are the kernel's own */

/* Whether `target` is already the root of a mount of that kind: the kernel, stage 1 or a test may have made it. */
static bool is_mounted(const char *target, long magic) {
  char above[64];
  struct stat here;
  struct stat parent;
  struct statfs kind;
  snprintf(above, sizeof above, "%s/..", target);
  if (stat(target, &here) != 0 || stat(above, &parent) != 0 || statfs(target, &kind) != 0) return false;
  return here.st_dev != parent.st_dev && (long)kind.f_type == magic;
}

static void mount_one(const struct early_mount *m) {
  mkdir(m->target, 0755);
  if (is_mounted(m->target, m->magic)) return;
  if (mount(m->source, m->target, m->type, m->flags, m->data) == 0) return;
  log_errno("can't mount %s on %s", m->type, m->target);
}

void mount_kernel_views(void) {
  for (size_t i = 0; i < KERNEL_VIEWS; i++) mount_one(&early[i]);
}

void mount_early(void) {
  for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) mount_one(&early[i]);
  static const char *const links[][2] = {
    {"pts/ptmx", "/dev/ptmx"},
    {"/proc/self/fd", "/dev/fd"},
    {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"},
  };
  for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
    unlink(links[i][1]);
    if (symlink(links[i][0], links[i][1]) != 0) log_errno("can't link %s", links[i][1]);
  }
}

/* One at a time: a controller that can't be delegated must not keep the others from it. */
static void enable_controller(int fd, const char *name) {
  char word[64];
  int length = snprintf(word, sizeof word, "+%s", name);
  if (write(fd, word, (size_t)length) != length) log_errno("can't enable the cgroup controller %s", name);
}

void delegate_controllers(const char *directory) {
  char path[128];
  char controllers[512];
  snprintf(path, sizeof path, "%s/cgroup.controllers", directory);
  if (read_small_file(path, controllers, sizeof controllers) < 0) {
    log_errno("can't read %s", path);
    return;
  }
  snprintf(path, sizeof path, "%s/cgroup.subtree_control", directory);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    log_errno("can't open %s", path);
    return;
  }
  char *rest = NULL;
  for (char *name = strtok_r(controllers, " \n", &rest); name != NULL; name = strtok_r(NULL, " \n", &rest)) {
    enable_controller(fd, name);
  }
  close(fd);
}

void mount_cgroup(void) {
  static const struct early_mount cgroup = {
    "cgroup2", CGROUP_DIR, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "nsdelegate", CGROUP2_SUPER_MAGIC,
  };
  mount_one(&cgroup);
  delegate_controllers(CGROUP_DIR);
}
