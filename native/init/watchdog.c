// Silence is counted in looks, not read off a clock: however long the machine was suspended or we did not run, that is one look, and
// the agent has the others to come back to itself.
#include "watchdog.h"
#include "init.h"

#define LOOKS 6
#define ABORT_GRACE_MS 2000 /* for its last words, before SIGKILL */

static long limit_ms;
static int64_t due = INT64_MAX;
static unsigned missed;

void watchdog_configure(long limit) { limit_ms = limit; }

uint32_t watchdog_limit(void) { return (uint32_t)limit_ms; }

void watchdog_begin(void) {
  due = INT64_MAX;
  missed = 0;
}

void watchdog_pet(void) {
  if (limit_ms == 0 || missed > LOOKS) return; /* too late: it has been aborted */
  missed = 0;
  due = monotonic_ms() + (limit_ms + LOOKS - 1) / LOOKS;
}

int64_t watchdog_due(void) { return due; }

enum watchdog_bite watchdog_check(int64_t now) {
  if (now < due) return WATCHDOG_CONTENT;
  due = now + (limit_ms + LOOKS - 1) / LOOKS;
  if (++missed < LOOKS) return WATCHDOG_CONTENT;
  due = missed == LOOKS ? now + ABORT_GRACE_MS : INT64_MAX;
  return missed++ == LOOKS ? WATCHDOG_ABORT : WATCHDOG_KILL;
}
