// The kernel modules of stage 1: what the list names, in its order, less those for devices that are not there.
#define _GNU_SOURCE
#include "init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULES STAGE1_DIR "/modules"

static void load_module(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    log_errno("can't open the module %s", path);
    return;
  }
  if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST) log_errno("can't load the module %s", path);
  close(fd);
}

/* Whether the modalias of a device on the bus it names (`virtio:d0000001B`: virtio) begins with `prefix`. */
static bool device_present(const char *prefix) {
  char directory[64];
  size_t bus = strcspn(prefix, ":");
  snprintf(directory, sizeof directory, "/sys/bus/%.*s/devices", (int)bus, prefix);
  DIR *devices = opendir(directory);
  bool present = false;
  for (struct dirent *entry; devices != NULL && !present && (entry = readdir(devices)) != NULL;) {
    char path[384];
    char modalias[256];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s/modalias", directory, entry->d_name);
    present = read_small_file(path, modalias, sizeof modalias) > 0 && strncmp(modalias, prefix, strlen(prefix)) == 0;
  }
  if (devices != NULL) closedir(devices);
  return present;
}

// A line is `PATH` or `PATH MODALIAS`.
void load_modules(void) {
  static char list[65536];
  if (read_small_file(MODULES, list, sizeof list) < 0) {
    if (errno != ENOENT) log_errno("can't read %s", MODULES);
    return;
  }
  char *lines = NULL;
  for (char *line = strtok_r(list, "\r\n", &lines); line != NULL; line = strtok_r(NULL, "\r\n", &lines)) {
    char *words = NULL;
    const char *path = strtok_r(line, " \t", &words);
    const char *modalias = path == NULL ? NULL : strtok_r(NULL, " \t", &words);
    if (path == NULL || path[0] == '#') continue;
    if (modalias == NULL || device_present(modalias)) load_module(path);
  }
}
