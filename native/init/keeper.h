// The wire between berth-init and the agent: one message per datagram of a SOCK_SEQPACKET Unix socket that the agent
// finds as fd 3 (BERTH_KEEPER_FD). The other side of it is agent/keeper/wire.ts; change both together, and the version.
//
// A new agent generation gets a socket of its own, and KEEPER_WELCOME is the first message on it. After that:
//   TRACK   asks for the exit of one process. RESULT answers at once; with OK an EXIT follows when the process is
//           gone, at once when it is gone already. Asking twice is asking once.
//   EXIT    is sent once per generation to whoever asked; init keeps the record until ACK, across agent restarts.
//   ACK     releases the record (or, while the process lives, the request). No answer. One for each EXIT: an ACK that
//           crosses a second TRACK of the same exit is void, and the EXIT that answers that one asks for another.
//   SETTLE  "I have asked for all I know": what only earlier generations asked for is released. No answer.
//   PET     "I am well": with a watchdog (see WELCOME) an agent that has sent one and then sends none for so long is ended by
//           SIGABRT, and by SIGKILL soon after; a blocked or stopped one so counts as dead. No answer.
//   RESIZED memory was added or taken away: the workload's limits are worked out anew (protect.c). No answer.
//   UPGRADE asks that, once this agent has ended, the next one is run with `path` in place of one argument of its command (the script
//           after the interpreter), at once. RESULT. An agent that is run so is on trial until its SETTLE: if it dies, or is killed for
//           taking too long, twice in a row before it, the command is run as it was. BERTH_UPGRADE in an agent's environment is
//           `new:PATH`, or `failed:PATH` after that, until one has sent SETTLE.
//   POWER_OFF  the agent is leaving; init waits for it to exit, then powers off (or exits 0 when it is not PID 1).
//   FD_PUT  keeps the fds that come along under a key, in place of what is there: all of them or, when there is no room, none.
//           RESULT comes once they are held. They outlive every agent until FD_DEL. init closes them and does nothing else with
//           them, so what may block at its last close (files of a network or a FUSE file system) does not belong here.
//   FD_GET  asks for copies of them, FD_DEL closes them, FD_LIST asks for every key.
// Whatever init can't read is answered with MALFORMED, and fds that nothing has taken are closed. A full socket holds answers and
// exits back; nothing is dropped, and requests are answered in their order.
#ifndef BERTH_KEEPER_H
#define BERTH_KEEPER_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the structs below are the wire format, which is little-endian"
#endif

#define KEEPER_VERSION 1
#define KEEPER_MESSAGE_MAX 256 /* bytes; a longer datagram is MALFORMED */
#define KEEPER_FDS_MAX 16      /* fds in one FD_PUT or FD_FDS */
#define KEEPER_KEY_BYTES 16
#define KEEPER_PATH_BYTES 224 /* with its NUL */

enum keeper_type {
  /* agent to init */
  KEEPER_TRACK = 1,
  KEEPER_ACK = 2,
  KEEPER_SETTLE = 3,
  KEEPER_POWER_OFF = 4,
  KEEPER_PET = 5,
  KEEPER_RESIZED = 6,
  KEEPER_UPGRADE = 7, /* RESULT: NOT_SUPPORTED where agents are not restarted */
  KEEPER_FD_PUT = 16, /* struct keeper_fd + SCM_RIGHTS, `count` of them, 1 to KEEPER_FDS_MAX; RESULT */
  KEEPER_FD_GET = 17, /* struct keeper_fd: FD_FDS, or RESULT UNKNOWN; the store keeps its copies */
  KEEPER_FD_DEL = 18, /* struct keeper_fd: close them; RESULT */
  KEEPER_FD_LIST = 19, /* header only: one FD_FDS without fds per key, then RESULT */
  /* init to agent */
  KEEPER_WELCOME = 64,
  KEEPER_RESULT = 65,
  KEEPER_EXIT = 66,
  KEEPER_FD_FDS = 80, /* struct keeper_fd + SCM_RIGHTS */
};

enum keeper_result_code {
  KEEPER_OK = 0,
  KEEPER_UNKNOWN = 1,       /* no such process and no record of one, or no such key */
  KEEPER_FULL = 2,          /* the table of tracked processes or the fd store has no room */
  KEEPER_NOT_SUPPORTED = 3, /* from a later version */
  KEEPER_MALFORMED = 4,     /* wrong version, size or value */
};

enum { KEEPER_EXIT_LOST = 1 }; /* flag of EXIT: gone, but reaped by another parent, so `status` is unknown */
enum { KEEPER_HALT = 0, KEEPER_RESTART = 1 }; /* `how` of POWER_OFF */

struct keeper_header {
  uint16_t version;
  uint16_t type;
  uint32_t id; /* chosen by the agent, echoed in RESULT; 0 in WELCOME and EXIT */
} __attribute__((packed));

// Start times are field 22 of /proc/<pid>/stat (man 5 proc): clock ticks since boot. A pid with it names one process.
struct keeper_track {
  struct keeper_header header;
  uint32_t pid;
  uint32_t reserved;
  uint64_t start_time; /* 0: not known, then the newest process of that pid that started at or after `since` */
  uint64_t since;      /* ticks since boot; read only when start_time is 0 */
} __attribute__((packed));

struct keeper_ack {
  struct keeper_header header;
  uint32_t pid;
  uint32_t reserved;
  uint64_t start_time;
} __attribute__((packed));

struct keeper_power_off {
  struct keeper_header header;
  uint32_t how;
  uint32_t reserved;
} __attribute__((packed));

struct keeper_upgrade {
  struct keeper_header header;
  uint32_t argument; /* 1 for the first after argv[0] */
  uint32_t reserved;
  char path[KEEPER_PATH_BYTES]; /* absolute */
} __attribute__((packed));

struct keeper_fd {
  struct keeper_header header;
  uint8_t key[KEEPER_KEY_BYTES]; /* the agent's choice; what it means is written in the agent's journal */
  uint32_t count;  /* fds held under it */
  uint32_t reserved;
} __attribute__((packed));

struct keeper_welcome {
  struct keeper_header header;
  uint32_t generation;  /* 1 for the first agent since init started */
  uint32_t tracked;     /* entries kept from earlier generations */
  uint32_t tracked_max; /* what the table holds */
  uint32_t watchdog_ms; /* what the agent may be silent for; pet several times within it. 0: no watchdog, and no PET wanted */
} __attribute__((packed));

struct keeper_result {
  struct keeper_header header;
  uint32_t request; /* type of the message answered */
  uint32_t result;  /* enum keeper_result_code */
  uint64_t start_time; /* TRACK and OK: of the process found */
} __attribute__((packed));

struct keeper_exit {
  struct keeper_header header;
  uint32_t pid;
  uint32_t status; /* as wait(2) gives it */
  uint64_t start_time;
  uint64_t exited_at; /* CLOCK_REALTIME, ns since 1970, when init saw it */
  uint32_t flags;
  uint32_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct keeper_header) == 8, "wire");
_Static_assert(sizeof(struct keeper_track) == 32, "wire");
_Static_assert(sizeof(struct keeper_ack) == 24, "wire");
_Static_assert(sizeof(struct keeper_power_off) == 16, "wire");
_Static_assert(sizeof(struct keeper_upgrade) == 240, "wire");
_Static_assert(sizeof(struct keeper_fd) == 32, "wire");
_Static_assert(sizeof(struct keeper_welcome) == 24, "wire");
_Static_assert(sizeof(struct keeper_result) == 24, "wire");
_Static_assert(sizeof(struct keeper_exit) == 40, "wire");

#endif
