// The initramfs: loads modules, finds and mounts the root file system, and hands over to its /sbin/init.
#define _GNU_SOURCE
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define ROOT "/berth-root"
#define IMAGE STAGE1_DIR "/root.erofs"
#define ROOT_WAIT_MS 10000
#define ROOT_RETRY_MS 10

struct root {
  char device[256];
  char type[32];
  char data[256];
  unsigned long flags;
  bool image; /* the root is a file of the initramfs */
};

static noreturn void fail(void) {
  log_line("can't start the guest; powering off");
  sync();
  sleep_ms(200); /* a serial line may still be draining */
  reboot(RB_POWER_OFF);
  for (;;) pause();
}

static void choose_root(struct root *root) {
  static char cmdline[8192];
  char ignored[8];
  memset(root, 0, sizeof *root);
  if (read_small_file("/proc/cmdline", cmdline, sizeof cmdline) < 0) log_errno("can't read the kernel command line");
  bool named = cmdline_value(cmdline, "root", root->device, sizeof root->device) && root->device[0] != '\0';
  root->image = !named && access(IMAGE, R_OK) == 0;
  if (!named) snprintf(root->device, sizeof root->device, "%s", "/dev/vda");
  if (root->image || !cmdline_value(cmdline, "rootfstype", root->type, sizeof root->type) || root->type[0] == '\0') {
    snprintf(root->type, sizeof root->type, "%s", "erofs");
  }
  if (!root->image) cmdline_value(cmdline, "rootflags", root->data, sizeof root->data);
  bool writable = !root->image && cmdline_value(cmdline, "rw", ignored, sizeof ignored);
  root->flags = writable ? 0 : MS_RDONLY;
}

static void attach_image(struct root *root) {
  int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  int file = open(IMAGE, O_RDONLY | O_CLOEXEC);
  int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
  if (number < 0 || file < 0) {
    log_errno("no loop device for %s", IMAGE);
    fail();
  }
  snprintf(root->device, sizeof root->device, "/dev/loop%d", number);
  int device = open(root->device, O_RDONLY | O_CLOEXEC);
  struct loop_config config;
  memset(&config, 0, sizeof config);
  config.fd = (__u32)file;
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  if (device < 0 || ioctl(device, LOOP_CONFIGURE, &config) != 0) {
    log_errno("can't put %s on %s", IMAGE, root->device);
    fail();
  }
  // AUTOCLEAR frees it at the last close: the device stays open here until the mount holds it, and exec closes it.
  close(file);
  close(control);
}

/* The device may be still on its way; any other reason stays as it is however long we wait. */
static bool worth_waiting(int error) {
  return error == ENOENT || error == ENXIO || error == ENOTBLK || error == ENOMEDIUM || error == EBUSY;
}

static void list_devices(void) {
  char names[256] = "";
  size_t length = 0;
  DIR *dir = opendir("/sys/class/block");
  for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] == '.' || length + strlen(entry->d_name) + 2 > sizeof names) continue;
    length += (size_t)snprintf(names + length, sizeof names - length, " %s", entry->d_name);
  }
  if (dir != NULL) closedir(dir);
  log_line("block devices seen:%s", length == 0 ? " none" : names);
}

/* The superblock says so (Linux, fs/erofs/erofs_fs.h). */
static bool holds_erofs(const char *device) {
  unsigned char magic[4] = {0};
  int fd = open(device, O_RDONLY | O_CLOEXEC);
  bool read_it = fd >= 0 && pread(fd, magic, sizeof magic, 1024) == (ssize_t)sizeof magic;
  if (fd >= 0) close(fd);
  return read_it && magic[0] == 0xe2 && magic[1] == 0xe1 && magic[2] == 0xf5 && magic[3] == 0xe0;
}

static void mount_root(struct root *root) {
  mkdir(ROOT, 0755);
  int64_t end = monotonic_ms() + ROOT_WAIT_MS;
  while (mount(root->device, ROOT, root->type, root->flags, root->data) != 0) {
    // Kata's hosts say ext4, with its options, wherever their configuration does not name a type.
    if (errno == EINVAL && strcmp(root->type, "erofs") != 0 && holds_erofs(root->device)) {
      log_line("%s holds erofs, not %s", root->device, root->type);
      snprintf(root->type, sizeof root->type, "%s", "erofs");
      root->data[0] = '\0';
      root->flags = MS_RDONLY;
      continue;
    }
    if (worth_waiting(errno) && monotonic_ms() < end) {
      sleep_ms(ROOT_RETRY_MS);
      continue;
    }
    log_errno("can't mount the root file system %s (%s)", root->device, root->type);
    list_devices();
    fail();
  }
}

/* Frees the memory of the initramfs; `keep` is a directory left alone. Stays on one file system. */
static void remove_tree(int dir_fd, dev_t device, int depth) {
  if (depth > 32) return;
  DIR *dir = fdopendir(dir_fd);
  if (dir == NULL) {
    close(dir_fd);
    return;
  }
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    struct stat info;
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (fstatat(dirfd(dir), name, &info, AT_SYMLINK_NOFOLLOW) != 0 || info.st_dev != device) continue;
    if (S_ISDIR(info.st_mode)) {
      int below = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below >= 0) remove_tree(below, device, depth + 1);
    }
    unlinkat(dirfd(dir), name, S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0);
  }
  closedir(dir);
}

static void switch_root(void) {
  static const char *const moved[] = {"/dev", "/proc", "/sys"};
  for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
    char target[64];
    snprintf(target, sizeof target, "%s%s", ROOT, moved[i]);
    if (mount(moved[i], target, NULL, MS_MOVE, NULL) != 0) {
      log_errno("can't move %s into the root file system", moved[i]);
      umount2(moved[i], MNT_DETACH);
    }
  }
  struct statfs kind;
  struct stat info;
  int old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool in_memory = old >= 0 && fstatfs(old, &kind) == 0 && fstat(old, &info) == 0 &&
                   ((long)kind.f_type == RAMFS_MAGIC || (long)kind.f_type == TMPFS_MAGIC);
  if (chdir(ROOT) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0) {
    log_errno("can't switch to the root file system");
    fail();
  }
  // A root image in the initramfs loses its name here and lives on under its loop device.
  if (in_memory) remove_tree(old, info.st_dev, 0);
  else if (old >= 0) close(old);
}

noreturn void stage1(uint64_t started_ms) {
  mount_kernel_views();
  log_open();
  struct root root;
  load_modules();
  choose_root(&root);
  if (root.image) attach_image(&root);
  mount_root(&root);
  switch_root();
  char uptime[48];
  snprintf(uptime, sizeof uptime, "BERTH_INIT_UPTIME_MS=%llu", (unsigned long long)started_ms);
  char *const argv[] = {"/sbin/init", NULL};
  char *const env[] = {uptime, NULL};
  execve(argv[0], argv, env);
  log_errno("can't run /sbin/init");
  fail();
}
