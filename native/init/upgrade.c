// An agent in place of the command's is on trial each time it starts, until it says that it has taken over (SETTLE). Two deaths in a row on
// trial, and the command's own agent comes back: it needs nothing that was not there when the machine booted.
#include "upgrade.h"
#include "init.h"

#include <stdio.h>
#include <string.h>

#define TRIES 2
#define ARGUMENTS_MAX 64

struct choice {
  char path[KEEPER_PATH_BYTES]; /* "": none */
  uint32_t argument;            /* of the command, that the path takes the place of */
};

static char *const *command;
static size_t arguments; /* 0: nothing else is run */
static long trial_ms;
static struct choice current;
static struct choice asked;
static unsigned tries;  /* in a row that came to nothing */
static bool settled;    /* the generation of now */
static bool told;       /* `current` has been at work, or what became of it has been heard */
static bool dropped;    /* `current` is not run any more */
static int64_t due = INT64_MAX;

void upgrade_configure(char *const *argv, bool restart, long wanted_trial_ms) {
  command = argv;
  trial_ms = wanted_trial_ms;
  size_t count = 0;
  while (argv[count] != NULL) count++;
  arguments = restart && count <= ARGUMENTS_MAX ? count : 0;
}

enum keeper_result_code upgrade_ask(const struct keeper_upgrade *request) {
  if (arguments == 0) return KEEPER_NOT_SUPPORTED;
  if (request->argument == 0 || request->argument >= arguments) return KEEPER_MALFORMED;
  if (request->path[0] != '/' || memchr(request->path, 0, sizeof request->path) == NULL) return KEEPER_MALFORMED;
  memcpy(asked.path, request->path, sizeof asked.path);
  asked.argument = request->argument;
  return KEEPER_OK;
}

static bool on_trial(void) { return current.path[0] != 0 && !dropped; }

void upgrade_begin(int64_t now) {
  settled = false;
  due = on_trial() && trial_ms > 0 ? now + trial_ms : INT64_MAX;
}

void upgrade_settled(void) {
  settled = true;
  told = true;
  tries = 0;
  due = INT64_MAX;
}

bool upgrade_died(uint32_t generation, bool last) {
  due = INT64_MAX;
  if (asked.path[0] != 0) {
    log_line("agent generation %u has handed over to %s", generation, asked.path);
    current = asked;
    asked.path[0] = 0;
    tries = 0;
    told = false;
    dropped = false;
    return true;
  }
  if (!on_trial()) return false;
  if (!settled) tries++;
  if (tries < TRIES && !last) return false;
  log_line("agent generation %u: %s comes to nothing; back to %s", generation, current.path, command[current.argument]);
  dropped = true;
  told = false;
  return true;
}

int64_t upgrade_due(void) { return due; }

void upgrade_killed(void) { due = INT64_MAX; }

char *const *upgrade_argv(void) {
  static char *argv[ARGUMENTS_MAX + 1];
  if (!on_trial()) return command;
  memcpy(argv, command, arguments * sizeof argv[0]);
  argv[current.argument] = current.path;
  return argv;
}

char *upgrade_word(void) {
  static char word[KEEPER_PATH_BYTES + 32];
  if (current.path[0] == 0 || told) return NULL;
  snprintf(word, sizeof word, "BERTH_UPGRADE=%s:%s", dropped ? "failed" : "new", current.path);
  return word;
}
