// openBeneath and openInRoot: a path opened within a directory and nowhere else, whatever links lie on the way (man 2 openat2).
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

/// The kernel gives up with EAGAIN when something is renamed while it walks over a "..".
constexpr int kAttempts = 16;

Outcome OpenWithin(int directory, const std::string& path, const open_how& how) {
  int error = EAGAIN;
  for (int attempt = 0; attempt < kAttempts && (error == EAGAIN || error == EINTR); attempt++) {
    open_how asked = how;
    const long fd = syscall(SYS_openat2, directory, path.c_str(), &asked, sizeof asked);
    if (fd >= 0) return {0, "", {}, static_cast<int>(fd)};
    error = errno;
  }
  return {error, "openat2", path};
}

Napi::Value OnThread(Napi::Env env, int directory, const std::string& path, const open_how& how) {
  // The thread's own: the caller may close its descriptor while the walk hangs on a stuck file system.
  const int own = fcntl(directory, F_DUPFD_CLOEXEC, 3);
  if (own < 0) return RejectErrno(env, errno, "fcntl");
  const auto held = std::make_shared<UniqueFd>(own);
  return RunOnThread(env, "berth.openat2", [=]() { return OpenWithin(held->get(), path, how); });
}

Napi::Value OpenBeneathVerb(const Napi::CallbackInfo& info) {
  Args args(info);
  const int directory = args.Fd(info[0], "directory");
  const std::string path = args.Text(info[1], "path");
  open_how how{};
  how.flags = args.Uint32(info[2], "flags") | O_CLOEXEC;
  how.mode = static_cast<uint64_t>(args.Integer(info[3], "mode", 0, 07777));
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  if (args.BooleanOrFalse(info[4], "noLinks")) how.resolve |= RESOLVE_NO_SYMLINKS;
  if (!args.ok()) return RejectPending(info.Env());
  return OnThread(info.Env(), directory, path, how);
}

Napi::Value OpenInRootVerb(const Napi::CallbackInfo& info) {
  Args args(info);
  const int root = args.Fd(info[0], "root");
  const std::string path = args.Text(info[1], "path");
  open_how how{};
  how.flags = args.Uint32(info[2], "flags") | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  if (!args.ok()) return RejectPending(info.Env());
  return OnThread(info.Env(), root, path, how);
}

}  // namespace

void ExportOpenat2(Napi::Env env, Napi::Object exports) {
  ExportVerb<OpenBeneathVerb>(env, exports, "openBeneath");
  ExportVerb<OpenInRootVerb>(env, exports, "openInRoot");
}

}  // namespace berth
