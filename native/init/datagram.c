// sendmsg and recvmsg with SCM_RIGHTS (man 7 unix).
#define _GNU_SOURCE
#include "datagram.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool datagram_send(int sock, const void *message, size_t length, const int *fds, size_t fd_count) {
  _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int) * KEEPER_FDS_MAX)];
  struct iovec part = {(void *)(uintptr_t)message, length};
  struct msghdr out = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd_count != 0) {
    memset(control, 0, sizeof control);
    out.msg_control = control;
    out.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&out);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
  }
  ssize_t sent;
  do sent = sendmsg(sock, &out, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM && errno != ETOOMANYREFS);
}

static void take_fds(struct msghdr *message, struct datagram *in) {
  in->fd_count = 0;
  in->fds_cut = (message->msg_flags & MSG_CTRUNC) != 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count && in->fd_count < DATAGRAM_FDS_MAX; i++) {
      memcpy(&in->fds[in->fd_count++], CMSG_DATA(part) + i * sizeof(int), sizeof(int));
    }
  }
}

/* On SOCK_SEQPACKET an empty message reads as 0, as the end does; only the end hangs up. */
static bool hung_up(int sock) {
  struct pollfd state = {sock, POLLIN, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

enum received datagram_receive(int sock, struct datagram *in) {
  _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int) * DATAGRAM_FDS_MAX)];
  struct iovec part = {in->bytes, sizeof in->bytes};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t length;
  // A peer that dies with answers unread leaves one ECONNRESET behind, told before what it had sent itself.
  do length = recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (length < 0 && (errno == EINTR || errno == ECONNRESET));
  if (length < 0) return errno == EAGAIN ? RECEIVED_NOTHING : RECEIVED_END;
  in->length = (size_t)length;
  in->cut = (message.msg_flags & MSG_TRUNC) != 0;
  take_fds(&message, in);
  if (length != 0 || !hung_up(sock)) return RECEIVED;
  datagram_close_fds(in);
  return RECEIVED_END;
}

void datagram_close_fds(struct datagram *in) {
  for (size_t i = 0; i < in->fd_count; i++) close(in->fds[i]);
  in->fd_count = 0;
}
