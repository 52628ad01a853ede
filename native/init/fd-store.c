// The table behind fd-store.h, static and chained by a hash of the key. Pages of it that were never used take no memory.
#define _GNU_SOURCE
#include "fd-store.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BUCKETS 4096u
#define OWN_FDS 256u /* ours beside the store's: stdio, sockets, one message's fds on their way in */

// Both hold the number of an entry plus one, so that zeroed memory is an empty table.
static struct fd_entry table[FD_STORE_KEYS_MAX];
static uint16_t buckets[BUCKETS];
static uint16_t free_list;
static uint32_t ever_used; /* entries from here on were never in use */
static uint32_t fds_held;
static struct rlimit given;
static bool raised;

_Static_assert(FD_STORE_KEYS_MAX < UINT16_MAX, "the number of an entry plus one fits 16 bits");

static uint16_t *bucket_of(const uint8_t *key) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < KEEPER_KEY_BYTES; i++) hash = (hash ^ key[i]) * 16777619u;
  return &buckets[hash % BUCKETS];
}

/* The link that leads to the entry, or the empty one at the end of its chain. */
static uint16_t *link_to(const uint8_t *key) {
  uint16_t *link = bucket_of(key);
  while (*link != 0 && memcmp(table[*link - 1].key, key, KEEPER_KEY_BYTES) != 0) link = &table[*link - 1].next;
  return link;
}

static void close_all(struct fd_entry *entry) {
  for (size_t i = 0; i < entry->count; i++) close(entry->fds[i]);
  fds_held -= entry->count;
  entry->count = 0;
}

static uint16_t take_free(void) {
  uint16_t number = free_list;
  if (number != 0) free_list = table[number - 1].next;
  else if (ever_used < FD_STORE_KEYS_MAX) number = (uint16_t)++ever_used;
  return number;
}

enum keeper_result_code fd_store_put(const uint8_t *key, const int *fds, size_t count) {
  uint16_t *link = link_to(key);
  size_t replaced = *link == 0 ? 0 : table[*link - 1].count;
  if (fds_held - replaced + count > FD_STORE_FDS_MAX) return KEEPER_FULL;
  uint16_t number = *link == 0 ? take_free() : *link;
  if (number == 0) return KEEPER_FULL;
  struct fd_entry *entry = &table[number - 1];
  if (*link == 0) {
    memcpy(entry->key, key, KEEPER_KEY_BYTES);
    entry->next = 0;
    *link = number;
  }
  close_all(entry);
  for (size_t i = 0; i < count; i++) entry->fds[i] = fds[i];
  entry->count = (uint16_t)count;
  fds_held += (uint32_t)count;
  return KEEPER_OK;
}

const struct fd_entry *fd_store_get(const uint8_t *key) {
  const uint16_t *link = link_to(key);
  return *link == 0 ? NULL : &table[*link - 1];
}

enum keeper_result_code fd_store_delete(const uint8_t *key) {
  uint16_t *link = link_to(key);
  if (*link == 0) return KEEPER_UNKNOWN;
  uint16_t number = *link;
  struct fd_entry *entry = &table[number - 1];
  close_all(entry);
  *link = entry->next;
  entry->next = free_list;
  free_list = number;
  return KEEPER_OK;
}

const struct fd_entry *fd_store_next(uint32_t *at) {
  while (*at < ever_used) {
    const struct fd_entry *entry = &table[(*at)++];
    if (entry->count != 0) return entry;
  }
  return NULL;
}

void fd_store_raise_limit(void) {
  if (getrlimit(RLIMIT_NOFILE, &given) != 0) return;
  rlim_t wanted = FD_STORE_FDS_MAX + OWN_FDS;
  if (given.rlim_cur >= wanted) return;
  struct rlimit most = {wanted, wanted > given.rlim_max ? wanted : given.rlim_max};
  struct rlimit allowed = {given.rlim_max < wanted ? given.rlim_max : wanted, given.rlim_max};
  raised = setrlimit(RLIMIT_NOFILE, &most) == 0 || setrlimit(RLIMIT_NOFILE, &allowed) == 0;
}

void fd_store_restore_limit(void) {
  if (raised) setrlimit(RLIMIT_NOFILE, &given);
}
