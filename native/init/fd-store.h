// The fd store: up to KEEPER_FDS_MAX fds under each key, for agents to come.
#ifndef BERTH_FD_STORE_H
#define BERTH_FD_STORE_H

#include "keeper.h"

#include <stddef.h>
#include <stdint.h>

#define FD_STORE_KEYS_MAX 16384u /* a process takes a few */
#define FD_STORE_FDS_MAX 49152u  /* of all keys together */

struct fd_entry {
  uint8_t key[KEEPER_KEY_BYTES];
  int fds[KEEPER_FDS_MAX];
  uint16_t count; /* 0: free */
  uint16_t next;
};

/* Takes the fds, 1 to KEEPER_FDS_MAX of them, in place of what is under the key; KEEPER_FULL takes and changes nothing. */
enum keeper_result_code fd_store_put(const uint8_t *key, const int *fds, size_t count);
/* NULL when there is no such key; good until the next put or delete. */
const struct fd_entry *fd_store_get(const uint8_t *key);
/* Closes what is under the key; KEEPER_UNKNOWN when there is no such key. */
enum keeper_result_code fd_store_delete(const uint8_t *key);
/* The first entry from number *at on, and *at moves behind it; NULL at the end. */
const struct fd_entry *fd_store_next(uint32_t *at);
/* Makes room for the store among our open files, as far as we may; fd_store_restore_limit gives a child what we were given. */
void fd_store_raise_limit(void);
void fd_store_restore_limit(void);

#endif
