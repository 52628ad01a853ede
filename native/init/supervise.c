// The agent's life: started, restarted with back-off, told to stop; and the one loop that reaps, talks and waits.
#define _GNU_SOURCE
#include "channel.h"
#include "exits.h"
#include "fd-store.h"
#include "init.h"
#include "upgrade.h"
#include "watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEPER_FD 3
#define ENV_MAX 4096u
#define REAPS_PER_TURN 256
#define SWEEP_MS 5000
#define FIRST_DELAY_MS 100
#define EXIT_NOT_FOUND 127
#define EXIT_GAVE_UP 69 /* EX_UNAVAILABLE of sysexits.h */

static const struct supervision *how;
static int signals = -1;
static pid_t agent;         /* 0: not running */
static uint32_t generation;
static int64_t started_at;
static int64_t start_at;    /* when the next one is due, while there is none */
static unsigned deaths;     /* in a row */
static bool stopping;
static bool killed;
static int64_t kill_at;
static enum ending ending;
static int exit_code;
static bool over;

static const int handled[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGPWR, SIGALRM};
#define HANDLED (sizeof handled / sizeof handled[0])

static void block_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < HANDLED; i++) sigaddset(&set, handled[i]);
  sigprocmask(SIG_SETMASK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_DFL); /* inherited as ignored, the kernel would reap for us */
  signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void write_pid_file(void) {
  if (how->pid_file == NULL) return;
  char fresh[512];
  char text[16];
  snprintf(fresh, sizeof fresh, "%s.new", how->pid_file);
  int length = snprintf(text, sizeof text, "%d\n", (int)agent);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool written = fd >= 0 && write(fd, text, (size_t)length) == length;
  if (fd >= 0) close(fd);
  if (!written || rename(fresh, how->pid_file) != 0) log_errno("can't write %s", how->pid_file);
}

static noreturn void become_agent(int keeper) {
  static char *env[ENV_MAX + 5];
  static char keeper_word[32];
  static char uptime_word[48];
  static char generation_word[40];
  snprintf(keeper_word, sizeof keeper_word, "BERTH_KEEPER_FD=%d", KEEPER_FD);
  snprintf(uptime_word, sizeof uptime_word, "BERTH_INIT_UPTIME_MS=%llu", (unsigned long long)how->started_ms);
  snprintf(generation_word, sizeof generation_word, "BERTH_GENERATION=%u", generation);
  size_t count = 0;
  for (size_t i = 0; i < how->env_count && count < ENV_MAX; i++) {
    const char *word = how->env[i];
    if (strncmp(word, "BERTH_KEEPER_FD=", 16) == 0 || strncmp(word, "BERTH_INIT_UPTIME_MS=", 21) == 0) continue;
    if (strncmp(word, "BERTH_GENERATION=", 17) == 0 || strncmp(word, "BERTH_UPGRADE=", 14) == 0) continue;
    env[count++] = how->env[i];
  }
  env[count++] = keeper_word;
  env[count++] = uptime_word;
  env[count++] = generation_word;
  env[count++] = upgrade_word();
  env[count] = NULL;
  fd_store_restore_limit();
  protect_agent();
  for (int i = 1; i < NSIG; i++) signal(i, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (keeper == KEEPER_FD) fcntl(keeper, F_SETFD, 0);
  else if (dup2(keeper, KEEPER_FD) < 0) _exit(EXIT_NOT_FOUND);
  execvpe(how->file, upgrade_argv(), env);
  log_errno("can't run %s", how->file);
  _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_FOUND - 1);
}

static void agent_died(int status);

static void start_agent(void) {
  int64_t now = monotonic_ms();
  generation++;
  watchdog_begin();
  upgrade_begin(now);
  int keeper = channel_open(generation);
  agent = keeper < 0 ? -1 : fork();
  if (agent == 0) become_agent(keeper);
  if (keeper >= 0) close(keeper);
  started_at = now;
  if (agent < 0) {
    log_errno("can't start the agent");
    agent = 0;
    agent_died(W_EXITCODE(EXIT_NOT_FOUND - 1, 0));
    return;
  }
  write_pid_file();
}

static void end_with(enum ending why, int code) {
  ending = why;
  exit_code = code;
  over = true;
}

static void stop(enum ending why) {
  if (stopping) return;
  stopping = true;
  ending = why;
  kill_at = monotonic_ms() + how->grace_ms;
  if (agent == 0) end_with(why, 0);
}

static void apply(enum channel_request request) {
  if (request == REQUEST_POWER_OFF) stop(ENDED_POWER_OFF);
  if (request == REQUEST_RESTART) stop(ENDED_RESTART);
}

static void agent_died(int status) {
  int64_t lived = monotonic_ms() - started_at;
  agent = 0;
  watchdog_begin();
  // What it said last, a power-off perhaps, is still in the socket.
  apply(channel_drain());
  int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (over) return;
  if (stopping || !how->restart) {
    end_with(stopping ? ending : ENDED_AGENT, stopping && ending != ENDED_AGENT ? 0 : code);
    return;
  }
  deaths = lived >= how->stable_ms ? 1 : deaths + 1;
  if (upgrade_died(generation, deaths >= how->restart_limit)) {
    deaths = 0;
    start_at = monotonic_ms();
    return;
  }
  const char *verb = WIFSIGNALED(status) ? "was killed by signal" : "exited with";
  int value = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  if (deaths >= how->restart_limit) {
    log_line("agent generation %u %s %d; %u deaths in a row, giving up", generation, verb, value, deaths);
    end_with(ENDED_GAVE_UP, EXIT_GAVE_UP);
    return;
  }
  int64_t delay = deaths == 1 ? 0 : FIRST_DELAY_MS;
  for (unsigned i = 2; i < deaths && delay < how->max_delay_ms; i++) delay *= 2;
  if (delay > how->max_delay_ms) delay = how->max_delay_ms;
  log_line("agent generation %u %s %d after %lld ms; restart in %lld ms", generation, verb, value, (long long)lived,
           (long long)delay);
  start_at = monotonic_ms() + delay;
}

// The zombie is looked at, then reaped: only while it is a zombie does /proc still know when it started.
static bool reap_one(void) {
  siginfo_t info;
  info.si_pid = 0;
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0) return false;
  struct exit_record record = {(uint32_t)info.si_pid, 0, 0, 0, 0};
  bool is_agent = info.si_pid == agent;
  if (!is_agent) record.start_time = proc_start_time(info.si_pid);
  int status = 0;
  if (waitpid(info.si_pid, &status, WNOHANG | __WALL) != info.si_pid) return false;
  record.status = (uint32_t)status;
  record.exited_at = realtime_ns();
  if (is_agent) agent_died(status);
  else exits_book(&record);
  return true;
}

static bool reap(void) {
  for (int i = 0; i < REAPS_PER_TURN; i++) {
    if (!reap_one()) return false;
  }
  return true;
}

static void on_signal(const struct signalfd_siginfo *info) {
  int number = (int)info->ssi_signo;
  if (number == SIGCHLD) return;
  bool stops = number == SIGTERM || number == SIGINT || (how->pid1 ? number == SIGPWR : number == SIGQUIT);
  if (how->pid1 && !stops) return;
  if (how->pid1) log_line("signal %d: stopping", number);
  // A terminal sends Ctrl-C to the whole foreground group, the agent included: once is enough.
  bool from_terminal = !how->pid1 && info->ssi_code == SI_KERNEL;
  if (agent > 0 && !from_terminal) kill(agent, how->pid1 ? SIGTERM : number);
  if (stops && (how->pid1 || how->restart)) stop(how->pid1 ? ENDED_POWER_OFF : ENDED_AGENT);
}

static void read_signals(void) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) on_signal(&info);
}

static void kill_when_due(int64_t now) {
  if (!stopping || agent == 0 || now < kill_at) return;
  if (killed) {
    log_line("the agent can't be killed; going on without it");
    end_with(ending, 0);
    return;
  }
  log_line("the agent did not stop within %ld ms; killing it", how->grace_ms);
  kill(agent, SIGKILL);
  killed = true;
  kill_at = now + how->grace_ms;
}

/* A blocked or stopped agent. SIGABRT first: a core or a report may tell why. */
static void bite_when_due(int64_t now) {
  if (agent == 0 || stopping) return;
  enum watchdog_bite bite = watchdog_check(now);
  if (bite == WATCHDOG_CONTENT) return;
  if (bite == WATCHDOG_ABORT) log_line("agent generation %u has been silent for %u ms; aborting it", generation, watchdog_limit());
  else log_line("agent generation %u does not end by SIGABRT; killing it", generation);
  kill(agent, bite == WATCHDOG_ABORT ? SIGABRT : SIGKILL);
}

/* It has not died, but is of no use either. */
static void kill_trial_when_due(int64_t now) {
  if (agent == 0 || stopping || now < upgrade_due()) return;
  log_line("agent generation %u is not at work after %ld ms; killing it", generation, how->trial_ms);
  kill(agent, SIGKILL);
  upgrade_killed();
}

enum ending supervise(const struct supervision *wanted, int *code) {
  how = wanted;
  records_init();
  fd_store_raise_limit();
  watchdog_configure(how->watchdog_ms);
  upgrade_configure(how->argv, how->restart, how->trial_ms);
  block_signals();
  int64_t sweep_at = monotonic_ms() + SWEEP_MS;
  bool more = true;
  while (!over) {
    int64_t now = monotonic_ms();
    if (agent == 0 && now >= start_at) start_agent();
    if (over) break;
    int64_t until = sweep_at;
    if (agent == 0 && start_at < until) until = start_at;
    if (stopping && kill_at < until) until = kill_at;
    if (!stopping && watchdog_due() < until) until = watchdog_due();
    if (!stopping && upgrade_due() < until) until = upgrade_due();
    int timeout = more || until <= now ? 0 : (int)(until - now);
    struct pollfd polled[2] = {{signals, POLLIN, 0}, {channel_fd(), channel_events(), 0}};
    poll(polled, 2, timeout);
    read_signals();
    more = reap();
    if (over) break;
    if (polled[1].revents != 0 || channel_events() != POLLIN) apply(channel_run());
    now = monotonic_ms();
    kill_when_due(now);
    bite_when_due(now);
    kill_trial_when_due(now);
    if (now >= sweep_at) {
      if (!more) exits_sweep();
      protect_resized();
      sweep_at = now + SWEEP_MS;
    }
  }
  channel_close();
  *code = exit_code;
  return ending;
}
