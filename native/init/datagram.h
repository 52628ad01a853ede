// One message of a SOCK_SEQPACKET Unix socket with the fds that ride on it, sent and received without waiting.
#ifndef BERTH_DATAGRAM_H
#define BERTH_DATAGRAM_H

#include "keeper.h"

#include <stdbool.h>
#include <stddef.h>

#define DATAGRAM_FDS_MAX 253 /* SCM_MAX_FD of the kernel */

struct datagram {
  unsigned char bytes[KEEPER_MESSAGE_MAX];
  size_t length;
  bool cut;     /* it was longer */
  bool fds_cut; /* some fds found no room in our table of them */
  size_t fd_count;
  int fds[DATAGRAM_FDS_MAX]; /* close-on-exec, and the receiver's */
};

enum received { RECEIVED, RECEIVED_NOTHING, RECEIVED_END };

enum received datagram_receive(int sock, struct datagram *in);
/* Closes the fds that nobody has taken (set fd_count to 0 to take them). */
void datagram_close_fds(struct datagram *in);
/* With up to KEEPER_FDS_MAX fds. False when the socket is full; true too when the peer is gone, which poll(2) tells by itself. */
bool datagram_send(int sock, const void *message, size_t length, const int *fds, size_t fd_count);

#endif
