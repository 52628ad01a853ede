// The clocks init reads, in the units it uses.
#define _GNU_SOURCE
#include "init.h"

#include <time.h>

static uint64_t read_ns(clockid_t id) {
  struct timespec now = {0, 0};
  clock_gettime(id, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t monotonic_ms(void) { return (int64_t)(read_ns(CLOCK_MONOTONIC) / 1000000u); }
uint64_t boottime_ms(void) { return read_ns(CLOCK_BOOTTIME) / 1000000u; }
uint64_t realtime_ns(void) { return read_ns(CLOCK_REALTIME); }

void sleep_ms(long ms) {
  struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};
  nanosleep(&pause, NULL);
}
