// Exit records: a table of processes the agent asked for, and a ring of exits nobody has asked for yet.
#ifndef BERTH_RECORDS_H
#define BERTH_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#define TRACKED_MAX 4096u
#define RECENT_MAX 8192u

struct exit_record {
  uint32_t pid; /* 0: free */
  uint32_t status;
  uint64_t start_time;
  uint64_t exited_at;
  uint32_t flags;
};

struct tracked {
  struct exit_record record;
  uint32_t generation; /* which agent asked last */
  bool exited;
  bool sent; /* to that generation */
  uint16_t next;
};

void records_init(void);
/* The entry of a process; `start_time` 0 takes the newest of that pid that started at or after `since`. */
struct tracked *tracked_find(uint32_t pid, uint64_t start_time, uint64_t since);
/* A new entry for a living process, or NULL when the table is full. */
struct tracked *tracked_add(uint32_t pid, uint64_t start_time);
void tracked_release(struct tracked *entry);
/* Releases what no agent since `generation` asked for; exits among it can still be found as recent ones. */
void tracked_settle(uint32_t generation);
/* Entry number i (0 to TRACKED_MAX - 1), free ones (pid 0) included. */
struct tracked *tracked_at(uint32_t i);
uint32_t tracked_count(void);

/* Books an exit: into the entry that waits for it, which is returned, else into the ring. */
struct tracked *records_exit(const struct exit_record *record);
/* Takes a matching record out of the ring; the same rule as tracked_find. */
bool recent_take(uint32_t pid, uint64_t start_time, uint64_t since, struct exit_record *out);

#endif
