// linkFd and renameAt: names in open directories, as Node cannot give or move them (man 2 linkat, man 2 renameat2).
#include <fcntl.h>
#include <stdio.h>
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

/// The thread's own: the caller may close its descriptor while the call hangs on a stuck file system.
std::shared_ptr<UniqueFd> Hold(int fd) { return std::make_shared<UniqueFd>(fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

Napi::Value LinkFd(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const int directory = args.Fd(info[1], "directory");
  const std::string name = args.Text(info[2], "name");
  if (!args.ok()) return RejectPending(info.Env());
  const auto file = Hold(fd);
  const auto into = Hold(directory);
  if (!*file || !*into) return RejectErrno(info.Env(), EBADF, "fcntl");
  return RunOnThread(info.Env(), "berth.linkat", [=]() -> Outcome {
    // AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH; this way needs /proc only.
    const std::string from = "/proc/self/fd/" + std::to_string(file->get());
    if (linkat(AT_FDCWD, from.c_str(), into->get(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
    return {errno, "linkat", name};
  });
}

Napi::Value RenameAt(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fromDirectory = args.Fd(info[0], "fromDirectory");
  const std::string from = args.Text(info[1], "from");
  const int toDirectory = args.Fd(info[2], "toDirectory");
  const std::string to = args.Text(info[3], "to");
  const unsigned flags = args.BooleanOrFalse(info[4], "noReplace") ? RENAME_NOREPLACE : 0;
  if (!args.ok()) return RejectPending(info.Env());
  const auto source = Hold(fromDirectory);
  const auto target = Hold(toDirectory);
  if (!*source || !*target) return RejectErrno(info.Env(), EBADF, "fcntl");
  return RunOnThread(info.Env(), "berth.renameat2", [=]() -> Outcome {
    if (renameat2(source->get(), from.c_str(), target->get(), to.c_str(), flags) == 0) return {};
    return {errno, "renameat2", from};
  });
}

}  // namespace

void ExportNames(Napi::Env env, Napi::Object exports) {
  ExportVerb<LinkFd>(env, exports, "linkFd");
  ExportVerb<RenameAt>(env, exports, "renameAt");
}

}  // namespace berth
