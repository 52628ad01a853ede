// What is read from /proc: start times and the kernel command line.
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t read_small_file(const char *path, char *buffer, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t length = 0;
  while (length < size - 1) {
    ssize_t got = read(fd, buffer + length, size - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      int saved = errno;
      close(fd);
      errno = saved;
      return -1;
    }
    if (got == 0) break;
    length += (size_t)got;
  }
  close(fd);
  buffer[length] = '\0';
  return (ssize_t)length;
}

// Field 2 is the program's name in parentheses and may hold spaces and parentheses itself: count from the last one.
uint64_t proc_start_time(pid_t pid) {
  char path[32];
  char stat[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_small_file(path, stat, sizeof stat) <= 0) return 0;
  const char *at = strrchr(stat, ')');
  if (at == NULL) return 0;
  at++;
  for (int field = 3; field <= 22; field++) {
    at = strchr(at, ' ');
    if (at == NULL) return 0;
    at++;
  }
  return strtoull(at, NULL, 10);
}

// Words are split at white space outside double quotes, and the quotes are dropped, as the kernel's next_arg() does.
// What follows a lone `--` is for init's argv and is not read.
bool cmdline_value(const char *cmdline, const char *key, char *value, size_t size) {
  size_t key_length = strlen(key);
  bool found = false;
  const char *at = cmdline;
  while (*at != '\0') {
    while (strchr(" \t\n", *at) != NULL && *at != '\0') at++;
    char word[512];
    size_t length = 0;
    bool quoted = false;
    bool cut = false;
    for (; *at != '\0' && *at != '\n' && (quoted || strchr(" \t", *at) == NULL); at++) {
      if (*at == '"') quoted = !quoted;
      else if (length < sizeof word - 1) word[length++] = *at;
      else cut = true;
    }
    word[length] = '\0';
    if (strcmp(word, "--") == 0) break;
    if (cut || strncmp(word, key, key_length) != 0) continue;
    if (word[key_length] != '=' && word[key_length] != '\0') continue;
    const char *text = word[key_length] == '=' ? word + key_length + 1 : "";
    if (strlen(text) >= size) continue;
    memcpy(value, text, strlen(text) + 1);
    found = true;
  }
  return found;
}
