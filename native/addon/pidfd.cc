// Processes by pidfd: open, signal, and be told of the end.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <memory>

#include "args.h"
#include "pidfd.h"
#include "system_error.h"
#include "verbs.h"
#include "watcher.h"

namespace berth {

int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

namespace {

/// waitid on one process; `pid` 0 in the result means it still runs.
int WaitForPidfd(int pidfd, int options, siginfo_t* status) {
  *status = {};
  return waitid(P_PIDFD, static_cast<id_t>(pidfd), status, WEXITED | WNOHANG | options) == 0 ? 0 : errno;
}

class ChildWatcher : public Watcher {
 public:
  ChildWatcher(Napi::Env env, Napi::Function onExit) : Watcher(env), onExit_(Napi::Persistent(onExit)) {}

 protected:
  void OnReady(int /*status*/) override {
    siginfo_t status;
    const int error = WaitForPidfd(fd(), 0, &status);
    if (error == 0 && status.si_pid == 0) return;

    Napi::Object exit = Napi::Object::New(env());
    exit.Set("pid", Napi::Number::New(env(), error == 0 ? status.si_pid : -1));
    exit.Set("coreDumped", Napi::Boolean::New(env(), error == 0 && status.si_code == CLD_DUMPED));
    if (error == 0) {
      exit.Set(status.si_code == CLD_EXITED ? "code" : "signal", Napi::Number::New(env(), status.si_status));
    }
    const Napi::FunctionReference onExit = std::move(onExit_);
    Close();
    Call(onExit, {exit});
  }
  void OnClose() override { onExit_.Reset(); }

 private:
  Napi::FunctionReference onExit_;
};

Napi::Value WatchChild(const Napi::CallbackInfo& info) {
  Args args(info);
  const int pidfd = args.Fd(info[0], "pidfd");
  const Napi::Function onExit = args.Callback(info[1], "onExit");
  if (!args.ok()) return info.Env().Undefined();
  siginfo_t status;
  const int error = WaitForPidfd(pidfd, WNOWAIT, &status);  // ECHILD at once rather than a callback that says nothing
  if (error != 0) return ThrowErrno(info.Env(), error, "waitid");
  return StartWatch(info.Env(), std::make_shared<ChildWatcher>(info.Env(), onExit), "berth.child", pidfd, UV_READABLE);
}

Napi::Value PidfdOpen(const Napi::CallbackInfo& info) {
  Args args(info);
  const int pid = args.Fd(info[0], "pid");
  if (!args.ok()) return info.Env().Undefined();
  const int pidfd = OpenPidfd(pid);
  if (pidfd < 0) return ThrowErrno(info.Env(), errno, "pidfd_open");
  return Napi::Number::New(info.Env(), pidfd);
}

Napi::Value PidfdSendSignal(const Napi::CallbackInfo& info) {
  Args args(info);
  const int pidfd = args.Fd(info[0], "pidfd");
  const int signal = args.Fd(info[1], "signal");
  if (!args.ok()) return info.Env().Undefined();
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0) {
    return ThrowErrno(info.Env(), errno, "pidfd_send_signal");
  }
  return info.Env().Undefined();
}

}  // namespace

void ExportPidfd(Napi::Env env, Napi::Object exports) {
  ExportVerb<WatchChild>(env, exports, "watchChild");
  ExportVerb<PidfdOpen>(env, exports, "pidfdOpen");
  ExportVerb<PidfdSendSignal>(env, exports, "pidfdSendSignal");
}

}  // namespace berth
