// spawn: vfork and exec, with what posix_spawn can't ask for between them, and a pidfd for the child.
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "args.h"
#include "pidfd.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"

namespace berth {

namespace {

// Bounds on what one call may allocate; execve has its own, smaller limit in bytes (E2BIG).
constexpr uint32_t kMaxStrings = 65536;
constexpr uint32_t kMaxFds = 256;
constexpr int kDevNull = -1;
constexpr int kScoreLimit = 1000;

struct Spec {
  std::string file;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::vector<int> fds;
  std::string cwd;
  bool newSession = false;
  int oomScoreAdj = 0;
};

struct Failure {
  int error = 0;
  const char* syscall = "";
  std::string path;
};

Spec ReadSpec(Args& args, Napi::Value value) {
  const Napi::Object object = args.Object(value, "spec");
  Spec spec;
  spec.file = args.Text(args.Field(object, "file"), "file");
  spec.args = args.Texts(args.Field(object, "args"), "args", kMaxStrings);
  spec.env = args.Texts(args.Field(object, "env"), "env", kMaxStrings);
  spec.fds = args.Ints(args.Field(object, "fds"), "fds", kDevNull, kMaxFds);
  const Napi::Value cwd = args.Field(object, "cwd");
  if (!cwd.IsUndefined()) spec.cwd = args.Text(cwd, "cwd");
  spec.newSession = args.BooleanOrFalse(args.Field(object, "newSession"), "newSession");
  const Napi::Value score = args.Field(object, "oomScoreAdj");
  if (!score.IsUndefined()) spec.oomScoreAdj = static_cast<int>(args.Integer(score, "oomScoreAdj", -kScoreLimit, kScoreLimit));
  if (args.ok() && spec.file.front() != '/') args.Fail("file", "an absolute path");
  if (args.ok() && spec.args.empty()) args.Fail("args", "an array that begins with argv[0]");
  return spec;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// All that the child needs, worked out before it exists: it shares our memory until it has become the program.
struct Plan {
  const char* file;
  char* const* argv;
  char* const* env;
  std::vector<int> sources;  // for fds 0, 1, ...; kDevNull for /dev/null
  int directory = -1;
  bool newSession = false;
  char score[8];  // of oom_score_adj
};

/// The fds for the plan, and duplicates that must stay open until the child has taken its copies.
class Sources {
 public:
  Failure Add(const Spec& spec, Plan* plan) {
    const int count = static_cast<int>(spec.fds.size());
    if (!spec.cwd.empty()) {
      // Opened here, so that a bad directory is told apart from a bad program. Above the child's fds, as below.
      UniqueFd opened(open(spec.cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!opened) return {errno, "chdir", spec.cwd};
      plan->directory = Keep(opened.get(), count);
      if (plan->directory < 0) return {errno, "fcntl", {}};
    }
    for (int target = 0; target < count; target++) {
      const int given = spec.fds[static_cast<size_t>(target)];
      if (given != kDevNull && fcntl(given, F_GETFD) < 0) return {errno, "dup2", "fds[" + std::to_string(target) + "]"};
      // A source among the targets may be overwritten before its turn comes: use a duplicate out of their way.
      const int source = given != kDevNull && given < count ? Keep(given, count) : given;
      if (source < kDevNull || (source == kDevNull && given != kDevNull)) return {errno, "fcntl", {}};
      plan->sources.push_back(source);
    }
    return {};
  }

 private:
  int Keep(int fd, int above) {
    kept_.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, above));
    return kept_.back().get();
  }

  std::vector<UniqueFd> kept_;
};

/// The kernel's own sigaction: glibc's would refuse its signals 32 and 33.
struct KernelAction {
  unsigned long handler;  // 0 is SIG_DFL
  unsigned long flags;
  unsigned long restorer;
  uint64_t mask;
};

/// In the child. Between vfork and exec only system calls, and nothing that our memory would remember.
void ResetSignals() {
  // Node ignores SIGPIPE, and that would be inherited; handlers would run in our memory.
  const KernelAction initial{};
  for (int number = 1; number < NSIG; number++) syscall(SYS_rt_sigaction, number, &initial, nullptr, sizeof(uint64_t));
}

bool PlaceFds(const Plan& plan) {
  const int count = static_cast<int>(plan.sources.size());
  for (int target = 0; target < count; target++) {
    const int source = plan.sources[static_cast<size_t>(target)];
    if (source != kDevNull) {
      if (dup2(source, target) < 0) return false;
      continue;
    }
    const int null = open("/dev/null", O_RDWR);
    if (null < 0 || (null != target && (dup2(null, target) < 0 || close(null) != 0))) return false;
  }
  return close_range(static_cast<unsigned>(count), ~0U, 0) == 0;
}

/// Ours is low so that the agent is the last to be killed; a child of it must not be (man 5 proc_pid_oom_score_adj).
void SetScore(const char* score) {
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = write(fd, score, std::strlen(score));
  close(fd);
}

[[noreturn]] void BecomeProgram(const Plan& plan, volatile int* error) {
  ResetSignals();
  SetScore(plan.score);
  if ((!plan.newSession || setsid() >= 0) && (plan.directory < 0 || fchdir(plan.directory) == 0) && PlaceFds(plan)) {
    const uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
    execve(plan.file, plan.argv, plan.env);
  }
  *error = errno;
  _exit(127);
}

/// vfork costs the same whatever the size of this process, and the child sees no signal while it shares our memory.
[[gnu::noinline]] int Fork(const Plan& plan, pid_t* pid) {
  const uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  volatile int error = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  const pid_t child = vfork();
  if (child == 0) BecomeProgram(plan, &error);
  const int failed = child < 0 ? errno : error;
  if (child > 0 && failed != 0) {
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
  *pid = child;
  return failed;
}

Failure Start(Spec& spec, pid_t* pid, UniqueFd* pidfd) {
  Plan plan{};
  Sources sources;
  const Failure failure = sources.Add(spec, &plan);
  if (failure.error != 0) return failure;
  const std::vector<char*> argv = Pointers(spec.args);
  const std::vector<char*> environment = Pointers(spec.env);
  plan.file = spec.file.c_str();
  plan.argv = argv.data();
  plan.env = environment.data();
  plan.newSession = spec.newSession;
  std::snprintf(plan.score, sizeof plan.score, "%d", spec.oomScoreAdj);

  // The place for the pidfd is taken before there is a child, so that a full table refuses instead of half-starting.
  UniqueFd place(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!place) return {errno, "pidfd_open", {}};
  const int failed = Fork(plan, pid);
  if (failed != 0) return {failed, "spawn", spec.file};

  place.Reset();
  *pidfd = UniqueFd(OpenPidfd(*pid));  // nobody else reaps our children, so the pid is still this child
  if (*pidfd) return {};
  const int error = errno;
  kill(*pid, SIGKILL);
  while (waitpid(*pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return {error, "pidfd_open", {}};
}

Napi::Value Spawn(const Napi::CallbackInfo& info) {
  Args args(info);
  Spec spec = ReadSpec(args, info[0]);
  if (!args.ok()) return info.Env().Undefined();
  pid_t pid = 0;
  UniqueFd pidfd;
  const Failure failure = Start(spec, &pid, &pidfd);
  if (failure.error != 0) return ThrowErrno(info.Env(), failure.error, failure.syscall, failure.path);

  Napi::Object spawned = Napi::Object::New(info.Env());
  spawned.Set("pid", Napi::Number::New(info.Env(), pid));
  spawned.Set("pidfd", Napi::Number::New(info.Env(), pidfd.Release()));
  return spawned;
}

}  // namespace

void ExportSpawn(Napi::Env env, Napi::Object exports) { ExportVerb<Spawn>(env, exports, "spawn"); }

}  // namespace berth
