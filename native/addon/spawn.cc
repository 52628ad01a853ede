// spawn: posix_spawn, which costs the same whatever the size of this process, and a pidfd for the child.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
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

struct Spec {
  std::string file;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::vector<int> fds;
  std::string cwd;
  bool newSession = false;
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

/// posix_spawnattr_t: default signal dispositions (Node ignores SIGPIPE, and that would be inherited), an empty mask.
class Attributes {
 public:
  explicit Attributes(bool newSession) {
    posix_spawnattr_init(&attributes_);
    sigset_t set;
    // Not sigfillset: it leaves out glibc's own signals 32 and 33, and posix_spawn would have the child ignore those.
    std::memset(&set, 0xff, sizeof set);
    posix_spawnattr_setsigdefault(&attributes_, &set);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes_, &set);
    const int session = newSession ? POSIX_SPAWN_SETSID : 0;
    posix_spawnattr_setflags(&attributes_, static_cast<short>(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | session));
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

/// posix_spawn_file_actions_t, and the fds that must stay open until the child has taken its copies.
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

  Failure Add(const Spec& spec) {
    const int count = static_cast<int>(spec.fds.size());
    if (!spec.cwd.empty()) {
      // Opened here, so that a bad directory is told apart from a bad program. Above the child's fds, as below.
      UniqueFd opened(open(spec.cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!opened) return {errno, "chdir", spec.cwd};
      const int directory = Keep(opened.get(), count);
      if (directory < 0) return {errno, "fcntl", {}};
      posix_spawn_file_actions_addfchdir_np(&actions_, directory);
    }
    for (int target = 0; target < count; target++) {
      const int given = spec.fds[static_cast<size_t>(target)];
      if (given == kDevNull) {
        posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", O_RDWR, 0);
        continue;
      }
      // A source among the targets may be overwritten before its turn comes: use a duplicate out of their way.
      if (fcntl(given, F_GETFD) < 0) return {errno, "dup2", "fds[" + std::to_string(target) + "]"};
      const int source = given < count ? Keep(given, count) : given;
      if (source < 0) return {errno, "fcntl", {}};
      posix_spawn_file_actions_adddup2(&actions_, source, target);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions_, count);
    return {};
  }

 private:
  int Keep(int fd, int above) {
    kept_.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, above));
    return kept_.back().get();
  }

  posix_spawn_file_actions_t actions_;
  std::vector<UniqueFd> kept_;
};

Failure Start(Spec& spec, pid_t* pid, UniqueFd* pidfd) {
  FileActions actions;
  const Failure failure = actions.Add(spec);
  if (failure.error != 0) return failure;
  const Attributes attributes(spec.newSession);
  const std::vector<char*> argv = Pointers(spec.args);
  const std::vector<char*> environment = Pointers(spec.env);

  // The place for the pidfd is taken before there is a child, so that a full table refuses instead of half-starting.
  UniqueFd place(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!place) return {errno, "pidfd_open", {}};
  const int spawned = posix_spawn(pid, spec.file.c_str(), actions.get(), attributes.get(), argv.data(), environment.data());
  if (spawned != 0) return {spawned, "posix_spawn", spec.file};

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
