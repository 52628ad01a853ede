// Lines for the console, prefixed `berth-init: `. Never blocks: a stuck console must not stop the reaping.
#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO;

// O_NONBLOCK sits in the open file description, which the agent shares: ours must be a description of its own.
void log_open(void) {
  int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) log_fd = fd;
}

static void write_line(const char *format, va_list args, const char *reason) {
  char line[512];
  size_t limit = sizeof line - 1; /* the last byte is for the newline */
  size_t length = (size_t)snprintf(line, limit, "berth-init: ");
  int more = vsnprintf(line + length, limit - length, format, args);
  length += more < 0 ? 0 : (size_t)more;
  if (length < limit && reason != NULL) length += (size_t)snprintf(line + length, limit - length, ": %s", reason);
  if (length > limit - 1) length = limit - 1;
  line[length++] = '\n';
  ssize_t sent = send(log_fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno == ENOTSOCK) sent = write(log_fd, line, length);
  (void)sent;
}

void log_line(const char *format, ...) {
  int saved = errno;
  va_list args;
  va_start(args, format);
  write_line(format, args, NULL);
  va_end(args);
  errno = saved;
}

void log_errno(const char *format, ...) {
  int saved = errno;
  const char *reason = strerrordesc_np(saved); /* a constant, where strerror may use the heap */
  va_list args;
  va_start(args, format);
  write_line(format, args, reason == NULL ? "unknown error" : reason);
  va_end(args);
  errno = saved;
}
