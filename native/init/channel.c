// The keeper socket: one request at a time, its answer sent before the next is read, exits when there is room.
#define _GNU_SOURCE
#include "channel.h"
#include "init.h"
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_PER_RUN 256 /* so that a chatty agent does not hold up the reaping */
#define DRAIN_TURNS 4096     /* far more than a socket buffer holds, in case a stray holder of the fd goes on writing */

static int sock = -1;
static uint32_t generation;
static uint32_t unsent;    /* exits of this generation not yet sent */
static uint32_t send_from; /* where the search for them goes on */
static unsigned complaints;

static struct {
  size_t length; /* 0: none */
  unsigned char bytes[KEEPER_MESSAGE_MAX];
} answer; /* that did not fit into the socket; nothing is read while it waits */

static struct keeper_header header(enum keeper_type type, uint32_t id) {
  struct keeper_header made = {KEEPER_VERSION, (uint16_t)type, id};
  return made;
}

/* False when the socket is full; true too when the peer is gone, which the poll loop sees by itself. */
static bool send_message(const void *message, size_t length) {
  ssize_t sent;
  do sent = send(sock, message, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM);
}

static void send_answer(const void *message, size_t length) {
  if (send_message(message, length)) return;
  memcpy(answer.bytes, message, length);
  answer.length = length;
}

static void send_result(const struct keeper_header *request, enum keeper_result_code code, uint64_t start_time) {
  struct keeper_result result = {header(KEEPER_RESULT, request->id), request->type, (uint32_t)code, start_time};
  send_answer(&result, sizeof result);
}

int channel_open(uint32_t new_generation) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  channel_close();
  sock = ends[0];
  generation = new_generation;
  unsent = 0;
  complaints = 0;
  struct keeper_welcome welcome = {header(KEEPER_WELCOME, 0), generation, tracked_count(), TRACKED_MAX, 0};
  send_answer(&welcome, sizeof welcome);
  return ends[1];
}

void channel_close(void) {
  if (sock >= 0) close(sock);
  sock = -1;
  answer.length = 0;
}

int channel_fd(void) { return sock; }

short channel_events(void) {
  if (answer.length != 0) return POLLOUT;
  return unsent != 0 ? POLLIN | POLLOUT : POLLIN;
}

static void claim(struct tracked *entry) {
  bool waits = entry->exited && (entry->generation != generation || entry->sent);
  entry->generation = generation;
  entry->sent = false;
  if (waits) unsent++;
}

// The newest process wins when the start time is not known, and a living one is newer than any record.
static enum keeper_result_code track(const struct keeper_track *request, uint64_t *start_time) {
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

static void acknowledge(const struct keeper_ack *request) {
  struct tracked *entry = tracked_find(request->pid, request->start_time, 0);
  if (entry == NULL || request->start_time == 0) return;
  // It crossed a second question about the same exit: that one is still to be answered, and acknowledged again.
  if (entry->exited && !entry->sent && entry->generation == generation) return;
  tracked_release(entry);
}

/* The size a request of this type has, or 0 for a type this version does not take. */
static size_t request_size(uint16_t type) {
  switch (type) {
    case KEEPER_TRACK: return sizeof(struct keeper_track);
    case KEEPER_ACK: return sizeof(struct keeper_ack);
    case KEEPER_SETTLE: return sizeof(struct keeper_header);
    case KEEPER_POWER_OFF: return sizeof(struct keeper_power_off);
    default: return 0;
  }
}

static void complain(const char *what, size_t length) {
  if (complaints++ < 5) log_line("agent generation %u sent %s (%zu bytes)", generation, what, length);
}

static enum channel_request handle(const unsigned char *bytes, size_t length, bool truncated) {
  struct keeper_header head = {0, 0, 0};
  memcpy(&head, bytes, length < sizeof head ? length : sizeof head);
  if (length < sizeof head || truncated || head.version != KEEPER_VERSION) {
    complain("a message that is not one", length);
    send_result(&head, KEEPER_MALFORMED, 0);
    return REQUEST_NONE;
  }
  size_t size = request_size(head.type);
  if (size == 0) {
    send_result(&head, KEEPER_NOT_SUPPORTED, 0);
    return REQUEST_NONE;
  }
  if (size != length) {
    complain("a message of the wrong size", length);
    send_result(&head, KEEPER_MALFORMED, 0);
    return REQUEST_NONE;
  }
  union {
    struct keeper_track track;
    struct keeper_ack ack;
    struct keeper_power_off power_off;
  } request;
  memcpy(&request, bytes, length);
  uint64_t start_time = 0;
  switch (head.type) {
    case KEEPER_TRACK: {
      enum keeper_result_code code = track(&request.track, &start_time);
      send_result(&head, code, start_time);
      break;
    }
    case KEEPER_ACK: acknowledge(&request.ack); break;
    case KEEPER_SETTLE: tracked_settle(generation); break;
    default: return request.power_off.how == KEEPER_RESTART ? REQUEST_RESTART : REQUEST_POWER_OFF;
  }
  return REQUEST_NONE;
}

/* Fds that came with a message: none is taken yet, and each would leak. */
static void close_fds(struct msghdr *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      close(fd);
    }
  }
}

/* On SOCK_SEQPACKET an empty message reads as 0, as the end does; only the end hangs up. */
static bool hung_up(void) {
  struct pollfd state = {sock, POLLIN, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

/* `more` is left true when the turn was over before the socket was empty. */
static enum channel_request read_requests(bool *more) {
  *more = true;
  for (int i = 0; i < REQUESTS_PER_RUN && answer.length == 0; i++) {
    unsigned char bytes[KEEPER_MESSAGE_MAX];
    _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(sizeof(int) * 253)]; /* SCM_MAX_FD of the kernel */
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0 && errno == EINTR) continue;
    bool empty = length < 0 && errno == EAGAIN;
    bool ended = length < 0 ? !empty : length == 0 && hung_up();
    if (ended) channel_close();
    if (empty || ended) {
      *more = false;
      return REQUEST_NONE;
    }
    close_fds(&message);
    enum channel_request request = handle(bytes, (size_t)length, (message.msg_flags & MSG_TRUNC) != 0);
    if (request != REQUEST_NONE) return request;
  }
  return REQUEST_NONE;
}

static void send_exits(void) {
  for (uint32_t seen = 0; unsent != 0 && seen < TRACKED_MAX; seen++) {
    struct tracked *entry = tracked_at(send_from);
    if (entry->record.pid != 0 && entry->exited && !entry->sent && entry->generation == generation) {
      const struct exit_record *r = &entry->record;
      struct keeper_exit told = {
        header(KEEPER_EXIT, 0), r->pid, r->status, r->start_time, r->exited_at, r->flags, 0,
      };
      if (!send_message(&told, sizeof told)) return;
      entry->sent = true;
      unsent--;
    }
    send_from = (send_from + 1) % TRACKED_MAX;
  }
}

enum channel_request channel_run(void) {
  if (sock < 0) return REQUEST_NONE;
  if (answer.length != 0) {
    if (!send_message(answer.bytes, answer.length)) return REQUEST_NONE;
    answer.length = 0;
  }
  bool more;
  enum channel_request request = read_requests(&more);
  if (sock >= 0 && answer.length == 0) send_exits();
  return request;
}

enum channel_request channel_drain(void) {
  enum channel_request last = REQUEST_NONE;
  bool more = sock >= 0;
  for (int turn = 0; more && turn < DRAIN_TURNS; turn++) {
    answer.length = 0;
    enum channel_request request = read_requests(&more);
    if (request != REQUEST_NONE) last = request;
  }
  channel_close();
  return last;
}

void channel_exit(const struct exit_record *record) {
  struct tracked *entry = records_exit(record);
  if (entry != NULL && sock >= 0 && entry->generation == generation) unsent++;
}

void channel_sweep(void) {
  if (tracked_count() == 0) return;
  for (uint32_t i = 0; i < TRACKED_MAX; i++) {
    struct tracked *entry = tracked_at(i);
    if (entry->record.pid == 0 || entry->exited) continue;
    if (proc_start_time((pid_t)entry->record.pid) == entry->record.start_time) continue;
    struct exit_record lost = entry->record;
    lost.exited_at = realtime_ns();
    lost.flags = KEEPER_EXIT_LOST;
    channel_exit(&lost);
  }
}
