// Which agent runs: the one of the command, or the one that has been asked for in its place.
#ifndef BERTH_UPGRADE_H
#define BERTH_UPGRADE_H

#include "keeper.h"

#include <stdbool.h>
#include <stdint.h>

/* `argv` is the command's; an agent that is not restarted is not replaced either. */
void upgrade_configure(char *const *argv, bool restart, long trial_ms);
/* Takes effect when the agent of now has ended, however it does. */
enum keeper_result_code upgrade_ask(const struct keeper_upgrade *request);
/* A generation begins; it is at work; it has died. */
void upgrade_begin(int64_t now);
void upgrade_settled(void);
/* Whether another agent than before comes next: at once, as nothing that has died counts against it. `last` is its last chance. */
bool upgrade_died(uint32_t generation, bool last);
/* When an agent on trial that is not at work by then is to be killed; INT64_MAX for any other. */
int64_t upgrade_due(void);
void upgrade_killed(void);
/* What the next generation is run with, and a word for its environment, or NULL. */
char *const *upgrade_argv(void);
char *upgrade_word(void);

#endif
