// The tables behind records.h, all static: a chained hash by pid, and a ring that forgets its oldest.
#include "records.h"

#include <stddef.h>
#include <string.h>

#define BUCKETS 1024u
#define NONE 0xffffu

static struct tracked table[TRACKED_MAX];
static uint16_t buckets[BUCKETS];
static uint16_t free_list;
static uint32_t used;
static struct exit_record recent[RECENT_MAX];
static uint32_t recent_next;

static bool matches(const struct exit_record *record, uint32_t pid, uint64_t start_time, uint64_t since) {
  if (record->pid != pid) return false;
  return start_time != 0 ? record->start_time == start_time : record->start_time >= since;
}

void records_init(void) {
  for (uint32_t i = 0; i < BUCKETS; i++) buckets[i] = NONE;
  for (uint32_t i = 0; i < TRACKED_MAX; i++) table[i].next = (uint16_t)(i + 1 < TRACKED_MAX ? i + 1 : NONE);
  free_list = 0;
}

struct tracked *tracked_find(uint32_t pid, uint64_t start_time, uint64_t since) {
  struct tracked *best = NULL;
  for (uint16_t i = buckets[pid % BUCKETS]; i != NONE; i = table[i].next) {
    if (!matches(&table[i].record, pid, start_time, since)) continue;
    if (best == NULL || table[i].record.start_time > best->record.start_time) best = &table[i];
  }
  return best;
}

struct tracked *tracked_add(uint32_t pid, uint64_t start_time) {
  if (free_list == NONE) return NULL;
  uint16_t i = free_list;
  struct tracked *entry = &table[i];
  free_list = entry->next;
  memset(entry, 0, sizeof *entry);
  entry->record.pid = pid;
  entry->record.start_time = start_time;
  entry->next = buckets[pid % BUCKETS];
  buckets[pid % BUCKETS] = i;
  used++;
  return entry;
}

void tracked_release(struct tracked *entry) {
  uint16_t i = (uint16_t)(entry - table);
  uint16_t *link = &buckets[entry->record.pid % BUCKETS];
  while (*link != i) link = &table[*link].next;
  *link = entry->next;
  memset(entry, 0, sizeof *entry);
  entry->next = free_list;
  free_list = i;
  used--;
}

static void recent_add(const struct exit_record *record) {
  recent[recent_next % RECENT_MAX] = *record;
  recent_next++;
}

void tracked_settle(uint32_t generation) {
  for (uint32_t i = 0; i < TRACKED_MAX; i++) {
    if (table[i].record.pid == 0 || table[i].generation == generation) continue;
    if (table[i].exited) recent_add(&table[i].record);
    tracked_release(&table[i]);
  }
}

struct tracked *tracked_at(uint32_t i) { return &table[i]; }

uint32_t tracked_count(void) { return used; }

struct tracked *records_exit(const struct exit_record *record) {
  struct tracked *entry = tracked_find(record->pid, record->start_time, 0);
  if (entry == NULL || entry->exited) {
    recent_add(record);
    return NULL;
  }
  entry->record = *record;
  entry->exited = true;
  return entry;
}

bool recent_take(uint32_t pid, uint64_t start_time, uint64_t since, struct exit_record *out) {
  struct exit_record *best = NULL;
  for (uint32_t i = 0; i < RECENT_MAX; i++) {
    if (!matches(&recent[i], pid, start_time, since)) continue;
    if (best == NULL || recent[i].start_time > best->start_time) best = &recent[i];
  }
  if (best == NULL) return false;
  *out = *best;
  memset(best, 0, sizeof *best);
  return true;
}
