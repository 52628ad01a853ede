// copyMount: a mount of one process's mount namespace, put into another's (man 2 open_tree, man 2 move_mount).
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "args.h"
#include "process_root.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

struct Copy {
  UniqueFd sourceProcess;
  std::string sourcePath;
  UniqueFd targetProcess;
  std::string targetPath;
};

/// The place at `path`, made with its parents if it is missing; errno tells what is wrong with -1.
UniqueFd OpenOrMake(int root, const std::string& path, bool directory) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const bool last = end == std::string::npos;
    const std::string part = path.substr(0, end);
    UniqueFd place = OpenInRoot(root, part, O_PATH);
    if (!place && errno == ENOENT) {
      const size_t slash = part.rfind('/');
      const UniqueFd parent = OpenInRoot(root, slash == 0 ? "/" : part.substr(0, slash), O_PATH | O_DIRECTORY);
      if (!parent) return UniqueFd(-1);
      const char* name = part.c_str() + slash + 1;
      const int made = last && !directory ? mknodat(parent.get(), name, S_IFREG | 0644, 0) : mkdirat(parent.get(), name, 0755);
      if (made != 0 && errno != EEXIST) return UniqueFd(-1);
      place = OpenInRoot(root, part, O_PATH);
    }
    if (!place || last) return place;
  }
}

Outcome CopyTree(const Copy& copy) {
  // A thread may enter a mount namespace only with a root and a working directory of its own.
  if (unshare(CLONE_FS) != 0) return {errno, "unshare", {}};
  const UniqueFd from = EnterRoot(copy.sourceProcess.get());
  if (!from) return {errno, "setns", {}};
  const UniqueFd source = OpenInRoot(from.get(), copy.sourcePath, O_PATH);
  if (!source) return {errno, "openat2", copy.sourcePath};
  // Not stat: a file system that does not answer must not hold this up.
  const bool directory = static_cast<bool>(OpenInRoot(from.get(), copy.sourcePath, O_PATH | O_DIRECTORY));
  const UniqueFd tree(static_cast<int>(
      syscall(SYS_open_tree, source.get(), "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree) return {errno, "open_tree", copy.sourcePath};
  const UniqueFd to = EnterRoot(copy.targetProcess.get());
  if (!to) return {errno, "setns", {}};
  const UniqueFd target = OpenOrMake(to.get(), copy.targetPath, directory);
  if (!target) return {errno, "openat2", copy.targetPath};
  if (syscall(SYS_move_mount, tree.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0) return {};
  return {errno, "move_mount", copy.targetPath};
}

Napi::Value CopyMount(const Napi::CallbackInfo& info) {
  Args args(info);
  const int sourceProcess = args.Fd(info[0], "sourcePidfd");
  const std::string sourcePath = args.Text(info[1], "sourcePath");
  const int targetProcess = args.Fd(info[2], "targetPidfd");
  const std::string targetPath = args.Text(info[3], "targetPath");
  if (args.ok() && sourcePath[0] != '/') args.Fail("sourcePath", "an absolute path");
  if (args.ok() && targetPath[0] != '/') args.Fail("targetPath", "an absolute path");
  if (!args.ok()) return RejectPending(info.Env());
  // The thread's own: the caller may close its descriptors while the walk hangs.
  auto copy = std::make_shared<Copy>();
  copy->sourceProcess = UniqueFd(fcntl(sourceProcess, F_DUPFD_CLOEXEC, 3));
  if (!copy->sourceProcess) return RejectErrno(info.Env(), errno, "fcntl");
  copy->targetProcess = UniqueFd(fcntl(targetProcess, F_DUPFD_CLOEXEC, 3));
  if (!copy->targetProcess) return RejectErrno(info.Env(), errno, "fcntl");
  copy->sourcePath = sourcePath;
  copy->targetPath = targetPath;
  return RunOnThread(info.Env(), "berth.copy_mount", [copy]() { return CopyTree(*copy); });
}

}  // namespace

void ExportMountTree(Napi::Env env, Napi::Object exports) { ExportVerb<CopyMount>(env, exports, "copyMount"); }

}  // namespace berth
