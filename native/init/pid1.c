// What PID 1 sets up besides mounts: console, signals of the keyboard, loopback, host name, limits.
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define NOFILE_DEFAULT 1048576u

/* The kernel's own opening may be of an initramfs that is gone, or be missing: then the next open() would be stdout. */
static void open_stdio(void) {
  int fd = open("/dev/console", O_RDWR | O_NOCTTY);
  if (fd < 0) fd = open("/dev/null", O_RDWR);
  if (fd < 0) return;
  for (int i = 0; i <= 2; i++) dup2(fd, i);
  if (fd > 2) close(fd);
}

/* The console becomes our terminal, but a stray Ctrl-C on the serial line must not switch the machine off. */
static void take_console(void) {
  struct termios modes;
  setsid();
  if (ioctl(STDIN_FILENO, TIOCSCTTY, 1) != 0) return;
  if (tcgetattr(STDIN_FILENO, &modes) != 0) return;
  modes.c_lflag &= ~(tcflag_t)ISIG;
  tcsetattr(STDIN_FILENO, TCSANOW, &modes);
}

/* The kernel gives `lo` its addresses when it comes up. */
static void loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request;
  memset(&request, 0, sizeof request);
  memcpy(request.ifr_name, "lo", 3);
  if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) {
    log_errno("no loopback");
  } else {
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) log_errno("can't bring lo up");
  }
  if (fd >= 0) close(fd);
}

static void set_hostname(void) {
  char text[256];
  char *rest = NULL;
  const char *name = NULL;
  if (read_small_file("/etc/hostname", text, sizeof text) > 0) name = strtok_r(text, " \t\n", &rest);
  if (name == NULL) name = "localhost";
  if (sethostname(name, strlen(name)) != 0) log_errno("can't set the host name %s", name);
}

static void raise_limits(void) {
  char text[32];
  rlim_t most = NOFILE_DEFAULT;
  if (read_small_file("/proc/sys/fs/nr_open", text, sizeof text) > 0) {
    rlim_t open_max = strtoul(text, NULL, 10);
    if (open_max != 0 && open_max < most) most = open_max;
  }
  struct rlimit limit = {most, most};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) log_errno("can't raise the limit of open files");
}

void pid1_setup(void) {
  umask(0);
  mount_early();
  open_stdio();
  log_open();
  umask(022);
  mount_cgroup();
  protect_setup();
  reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del becomes a SIGINT to us */
  take_console();
  loopback_up();
  set_hostname();
  raise_limits();
  if (chdir("/") != 0) log_errno("can't go to /");
}
