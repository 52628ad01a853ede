// The keeper socket: one request at a time, its answer sent before the next is read, exits when there is room.
#define _GNU_SOURCE
#include "channel.h"
#include "datagram.h"
#include "exits.h"
#include "fd-store.h"
#include "init.h"
#include "keeper.h"
#include "upgrade.h"
#include "watchdog.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_PER_RUN 256 /* so that a chatty agent does not hold up the reaping */
#define DRAIN_TURNS 4096     /* far more than a socket buffer holds, in case a stray holder of the fd goes on writing */

static int sock = -1;
static uint32_t generation;
static unsigned complaints;

// What did not fit into the socket; nothing is read while it waits, so the store does not change either.
static struct {
  size_t length; /* 0: none */
  unsigned char bytes[KEEPER_MESSAGE_MAX];
  const struct fd_entry *entry; /* whose fds go with it, or NULL */
} answer;

static struct {
  bool running; /* it goes on when the answer is out */
  struct keeper_header request;
  uint32_t at;
} listing;

static struct keeper_header header(enum keeper_type type, uint32_t id) {
  struct keeper_header made = {KEEPER_VERSION, (uint16_t)type, id};
  return made;
}

static void send_answer(const void *message, size_t length, const struct fd_entry *entry) {
  const int *fds = entry == NULL ? NULL : entry->fds;
  if (datagram_send(sock, message, length, fds, entry == NULL ? 0 : entry->count)) return;
  memmove(answer.bytes, message, length); /* it may be there already */
  answer.length = length;
  answer.entry = entry;
}

static bool send_exit(const void *message, size_t length) { return datagram_send(sock, message, length, NULL, 0); }

static void send_result(const struct keeper_header *request, enum keeper_result_code code, uint64_t start_time) {
  struct keeper_result result = {header(KEEPER_RESULT, request->id), request->type, (uint32_t)code, start_time};
  send_answer(&result, sizeof result, NULL);
}

int channel_open(uint32_t new_generation) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  channel_close();
  sock = ends[0];
  generation = new_generation;
  complaints = 0;
  exits_begin(generation);
  struct keeper_welcome welcome = {header(KEEPER_WELCOME, 0), generation, tracked_count(), TRACKED_MAX, watchdog_limit()};
  send_answer(&welcome, sizeof welcome, NULL);
  return ends[1];
}

void channel_close(void) {
  if (sock >= 0) close(sock);
  sock = -1;
  answer.length = 0;
  listing.running = false;
}

int channel_fd(void) { return sock; }

short channel_events(void) {
  if (answer.length != 0) return POLLOUT;
  return exits_waiting() ? POLLIN | POLLOUT : POLLIN;
}

static void send_fds(const struct keeper_header *request, const struct fd_entry *entry, bool with_fds) {
  struct keeper_fd found = {header(KEEPER_FD_FDS, request->id), {0}, entry->count, 0};
  memcpy(found.key, entry->key, sizeof found.key);
  send_answer(&found, sizeof found, with_fds ? entry : NULL);
}

static void go_on_listing(void) {
  while (listing.running && answer.length == 0) {
    const struct fd_entry *entry = fd_store_next(&listing.at);
    listing.running = entry != NULL;
    if (entry != NULL) send_fds(&listing.request, entry, false);
    else send_result(&listing.request, KEEPER_OK, 0);
  }
}

static void keep_fds(const struct keeper_fd *request, struct datagram *in) {
  enum keeper_result_code code = KEEPER_MALFORMED;
  if (in->fds_cut) code = KEEPER_FULL;
  else if (request->count == in->fd_count && in->fd_count != 0 && in->fd_count <= KEEPER_FDS_MAX) {
    code = fd_store_put(request->key, in->fds, in->fd_count);
  }
  if (code == KEEPER_OK) in->fd_count = 0;
  send_result(&request->header, code, 0);
}

static void find_fds(const struct keeper_fd *request) {
  const struct fd_entry *entry = fd_store_get(request->key);
  if (entry != NULL) send_fds(&request->header, entry, true);
  else send_result(&request->header, KEEPER_UNKNOWN, 0);
}

/* The size a request of this type has, or 0 for a type this version does not take. */
static size_t request_size(uint16_t type) {
  switch (type) {
    case KEEPER_TRACK: return sizeof(struct keeper_track);
    case KEEPER_ACK: return sizeof(struct keeper_ack);
    case KEEPER_SETTLE:
    case KEEPER_PET:
    case KEEPER_RESIZED:
    case KEEPER_FD_LIST: return sizeof(struct keeper_header);
    case KEEPER_UPGRADE: return sizeof(struct keeper_upgrade);
    case KEEPER_POWER_OFF: return sizeof(struct keeper_power_off);
    case KEEPER_FD_PUT:
    case KEEPER_FD_GET:
    case KEEPER_FD_DEL: return sizeof(struct keeper_fd);
    default: return 0;
  }
}

static void complain(const char *what, size_t length) {
  if (complaints++ < 5) log_line("agent generation %u sent %s (%zu bytes)", generation, what, length);
}

static enum channel_request handle(struct datagram *in) {
  struct keeper_header head = {0, 0, 0};
  memcpy(&head, in->bytes, in->length < sizeof head ? in->length : sizeof head);
  if (in->length < sizeof head || in->cut || head.version != KEEPER_VERSION) {
    complain("a message that is not one", in->length);
    send_result(&head, KEEPER_MALFORMED, 0);
    return REQUEST_NONE;
  }
  size_t size = request_size(head.type);
  if (size == 0) {
    send_result(&head, KEEPER_NOT_SUPPORTED, 0);
    return REQUEST_NONE;
  }
  if (size != in->length) {
    complain("a message of the wrong size", in->length);
    send_result(&head, KEEPER_MALFORMED, 0);
    return REQUEST_NONE;
  }
  union {
    struct keeper_track track;
    struct keeper_ack ack;
    struct keeper_power_off power_off;
    struct keeper_upgrade upgrade;
    struct keeper_fd fd;
  } request;
  memcpy(&request, in->bytes, in->length);
  uint64_t start_time = 0;
  switch (head.type) {
    case KEEPER_TRACK: {
      enum keeper_result_code code = exits_track(&request.track, &start_time);
      send_result(&head, code, start_time);
      break;
    }
    case KEEPER_ACK: exits_acknowledge(&request.ack); break;
    case KEEPER_SETTLE:
      exits_settle();
      upgrade_settled();
      break;
    case KEEPER_UPGRADE: send_result(&head, upgrade_ask(&request.upgrade), 0); break;
    case KEEPER_PET: watchdog_pet(); break;
    case KEEPER_RESIZED: protect_resized(); break;
    case KEEPER_FD_PUT: keep_fds(&request.fd, in); break;
    case KEEPER_FD_GET: find_fds(&request.fd); break;
    case KEEPER_FD_DEL: send_result(&head, fd_store_delete(request.fd.key), 0); break;
    case KEEPER_FD_LIST:
      listing.running = true;
      listing.request = head;
      listing.at = 0;
      go_on_listing();
      break;
    default: return request.power_off.how == KEEPER_RESTART ? REQUEST_RESTART : REQUEST_POWER_OFF;
  }
  return REQUEST_NONE;
}

/* `more` is left true when the turn was over before the socket was empty. */
static enum channel_request read_requests(bool *more) {
  *more = true;
  for (int i = 0; i < REQUESTS_PER_RUN && answer.length == 0; i++) {
    struct datagram in;
    enum received received = datagram_receive(sock, &in);
    if (received == RECEIVED_END) channel_close();
    if (received != RECEIVED) {
      *more = false;
      return REQUEST_NONE;
    }
    enum channel_request request = handle(&in);
    datagram_close_fds(&in);
    if (request != REQUEST_NONE) return request;
  }
  return REQUEST_NONE;
}

enum channel_request channel_run(void) {
  if (sock < 0) return REQUEST_NONE;
  if (answer.length != 0) {
    size_t length = answer.length;
    answer.length = 0;
    send_answer(answer.bytes, length, answer.entry);
    if (answer.length != 0) return REQUEST_NONE;
    go_on_listing();
  }
  bool more;
  enum channel_request request = read_requests(&more);
  if (sock >= 0 && answer.length == 0) exits_tell(send_exit);
  return request;
}

enum channel_request channel_drain(void) {
  enum channel_request last = REQUEST_NONE;
  bool more = sock >= 0;
  for (int turn = 0; more && turn < DRAIN_TURNS; turn++) {
    answer.length = 0;
    listing.running = false;
    enum channel_request request = read_requests(&more);
    if (request != REQUEST_NONE) last = request;
  }
  channel_close();
  return last;
}
