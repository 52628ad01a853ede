// init's end of the keeper socket; the messages are in keeper.h.
#ifndef BERTH_CHANNEL_H
#define BERTH_CHANNEL_H

#include <stdint.h>

enum channel_request { REQUEST_NONE, REQUEST_POWER_OFF, REQUEST_RESTART };

/* Makes the pair for a new agent generation and queues WELCOME; returns the agent's end (close-on-exec), or -1. */
int channel_open(uint32_t generation);
void channel_close(void);
/* The fd to poll, -1 when closed, and the events that matter now. */
int channel_fd(void);
short channel_events(void);
/* Reads and answers what there is, and sends exits that wait, as far as the socket takes them; never blocks. */
enum channel_request channel_run(void);
/* After the agent's death: takes in what it said last, answers nothing, and closes. */
enum channel_request channel_drain(void);

#endif
