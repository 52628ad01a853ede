// Tells an agent whose event loop stands still, or that is stopped, from one that works: it pets us, or we end it.
#ifndef BERTH_WATCHDOG_H
#define BERTH_WATCHDOG_H

#include <stdint.h>

enum watchdog_bite { WATCHDOG_CONTENT, WATCHDOG_ABORT, WATCHDOG_KILL };

/* What an agent may be silent for; 0 switches the watchdog off. */
void watchdog_configure(long limit_ms);
/* The same, as WELCOME tells it. */
uint32_t watchdog_limit(void);
/* A new agent, or none: nothing is expected of it before its first pet. */
void watchdog_begin(void);
void watchdog_pet(void);
/* When watchdog_check wants to be called next; INT64_MAX for never. */
int64_t watchdog_due(void);
/* What has to be done to the agent now. Call it after everything the agent has sent was read. */
enum watchdog_bite watchdog_check(int64_t now);

#endif
