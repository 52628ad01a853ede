// Exits that agents ask for: who is to be told of which, and of what has been told.
#ifndef BERTH_EXITS_H
#define BERTH_EXITS_H

#include "keeper.h"
#include "records.h"

#include <stdbool.h>
#include <stddef.h>

/* A new agent asks from here on. */
void exits_begin(uint32_t generation);
/* TRACK and ACK. */
enum keeper_result_code exits_track(const struct keeper_track *request, uint64_t *start_time);
void exits_acknowledge(const struct keeper_ack *request);
void exits_settle(void);
/* Whether exits wait to be told. */
bool exits_waiting(void);
/* Tells them by `tell`, until that says that there is no more room. */
void exits_tell(bool (*tell)(const void *message, size_t length));
/* Books an exit; whoever asked is told by the next exits_tell. */
void exits_book(const struct exit_record *record);
/* Looks for tracked processes that another parent reaped, and books them as lost. */
void exits_sweep(void);

#endif
