// What exits.h says, over the tables of records.h.
#include "exits.h"
#include "init.h"

#include <stddef.h>

static uint32_t generation;
static uint32_t unsent;    /* exits of this generation not yet told */
static uint32_t send_from; /* where the search for them goes on */

void exits_begin(uint32_t new_generation) {
  generation = new_generation;
  unsent = 0;
}

static void claim(struct tracked *entry) {
  bool waits = entry->exited && (entry->generation != generation || entry->sent);
  entry->generation = generation;
  entry->sent = false;
  if (waits) unsent++;
}

// The newest process wins when the start time is not known, and a living one is newer than any record.
enum keeper_result_code exits_track(const struct keeper_track *request, uint64_t *start_time) {
  if (request->pid == 0 || request->pid > INT32_MAX) return KEEPER_MALFORMED;
  uint32_t pid = request->pid;
  uint64_t alive = proc_start_time((pid_t)pid);
  bool living = alive != 0 && (request->start_time != 0 ? alive == request->start_time : alive >= request->since);
  struct tracked *entry = living ? tracked_find(pid, alive, 0) : tracked_find(pid, request->start_time, request->since);
  struct exit_record record;
  bool recorded = entry == NULL && !living && recent_take(pid, request->start_time, request->since, &record);
  if (entry == NULL && !living && !recorded) return KEEPER_UNKNOWN;
  if (entry == NULL) {
    entry = tracked_add(pid, living ? alive : record.start_time);
    if (entry == NULL) {
      if (recorded) records_exit(&record);
      return KEEPER_FULL;
    }
    entry->generation = generation;
    if (recorded) {
      records_exit(&record);
      unsent++;
    }
  } else {
    claim(entry);
  }
  *start_time = entry->record.start_time;
  return KEEPER_OK;
}

void exits_acknowledge(const struct keeper_ack *request) {
  struct tracked *entry = tracked_find(request->pid, request->start_time, 0);
  if (entry == NULL || request->start_time == 0) return;
  // It crossed a second question about the same exit: that one is still to be answered, and acknowledged again.
  if (entry->exited && !entry->sent && entry->generation == generation) return;
  tracked_release(entry);
}

void exits_settle(void) { tracked_settle(generation); }

bool exits_waiting(void) { return unsent != 0; }

void exits_tell(bool (*tell)(const void *message, size_t length)) {
  for (uint32_t seen = 0; unsent != 0 && seen < TRACKED_MAX; seen++) {
    struct tracked *entry = tracked_at(send_from);
    if (entry->record.pid != 0 && entry->exited && !entry->sent && entry->generation == generation) {
      const struct exit_record *r = &entry->record;
      struct keeper_exit told = {
        {KEEPER_VERSION, KEEPER_EXIT, 0}, r->pid, r->status, r->start_time, r->exited_at, r->flags, 0,
      };
      if (!tell(&told, sizeof told)) return;
      entry->sent = true;
      unsent--;
    }
    send_from = (send_from + 1) % TRACKED_MAX;
  }
}

void exits_book(const struct exit_record *record) {
  struct tracked *entry = records_exit(record);
  if (entry != NULL && entry->generation == generation) unsent++;
}

void exits_sweep(void) {
  if (tracked_count() == 0) return;
  for (uint32_t i = 0; i < TRACKED_MAX; i++) {
    struct tracked *entry = tracked_at(i);
    if (entry->record.pid == 0 || entry->exited) continue;
    if (proc_start_time((pid_t)entry->record.pid) == entry->record.start_time) continue;
    struct exit_record lost = entry->record;
    lost.exited_at = realtime_ns();
    lost.flags = KEEPER_EXIT_LOST;
    exits_book(&lost);
  }
}
