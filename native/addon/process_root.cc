// openInProcess, and what it shares with copyMount.
#include "process_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/syscall.h>

#include <cerrno>
#include <memory>

#include "args.h"
#include "system_error.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

constexpr int kAttempts = 16;

}  // namespace

UniqueFd EnterRoot(int pidfd) {
  if (setns(pidfd, CLONE_NEWNS) != 0) return UniqueFd(-1);
  return UniqueFd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

UniqueFd OpenInRoot(int root, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  // The kernel gives up with EAGAIN when something is renamed while it walks over a "..".
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    fd = syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return UniqueFd(static_cast<int>(fd));
}

namespace {

Outcome OpenWithin(int pidfd, const std::string& path, uint32_t flags) {
  // A thread may enter a mount namespace only with a root and a working directory of its own.
  if (unshare(CLONE_FS) != 0) return {errno, "unshare", {}};
  const UniqueFd root = EnterRoot(pidfd);
  if (!root) return {errno, "setns", {}};
  UniqueFd opened = OpenInRoot(root.get(), path, flags);
  if (!opened) return {errno, "openat2", path};
  return {0, "", {}, opened.Release()};
}

Napi::Value OpenInProcess(const Napi::CallbackInfo& info) {
  Args args(info);
  const int pidfd = args.Fd(info[0], "pidfd");
  const std::string path = args.Text(info[1], "path");
  const uint32_t flags = args.Uint32(info[2], "flags");
  if (args.ok() && path[0] != '/') args.Fail("path", "an absolute path");
  if (!args.ok()) return RejectPending(info.Env());
  // The thread's own: the caller may close its descriptor while the walk hangs.
  const auto process = std::make_shared<UniqueFd>(fcntl(pidfd, F_DUPFD_CLOEXEC, 3));
  if (!*process) return RejectErrno(info.Env(), errno, "fcntl");
  return RunOnThread(info.Env(), "berth.open_in_process", [=]() { return OpenWithin(process->get(), path, flags); });
}

}  // namespace

void ExportProcessRoot(Napi::Env env, Napi::Object exports) { ExportVerb<OpenInProcess>(env, exports, "openInProcess"); }

}  // namespace berth
