// pinNamespace: a namespace that outlives its maker, held by a bind mount (man 7 namespaces).
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

struct Pin {
  bool uts;
  std::string path;
  std::string hostname;
};

Outcome MakeAndBind(const Pin& pin) {
  if (unshare(pin.uts ? CLONE_NEWUTS : CLONE_NEWIPC) != 0) return {errno, "unshare", {}};
  if (!pin.hostname.empty() && sethostname(pin.hostname.data(), pin.hostname.size()) != 0) {
    return {errno, "sethostname", {}};
  }
  const char* own = pin.uts ? "/proc/thread-self/ns/uts" : "/proc/thread-self/ns/ipc";
  if (mount(own, pin.path.c_str(), nullptr, MS_BIND, nullptr) != 0) return {errno, "mount", pin.path};
  return {};
}

/// uts and ipc namespaces belong to a thread, and this one ends with the call: no fork of a large process is needed.
Outcome PinHere(const Pin& pin) {
  const UniqueFd created(open(pin.path.c_str(), O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600));
  if (!created && errno != EEXIST) return {errno, "open", pin.path};
  Outcome outcome = MakeAndBind(pin);
  if (outcome.error != 0 && created) unlink(pin.path.c_str());
  return outcome;
}

Napi::Value PinNamespace(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string kind = args.Text(info[0], "kind");
  if (args.ok() && kind != "ipc" && kind != "uts") args.Fail("kind", "'ipc' or 'uts'");
  Pin pin{kind == "uts", args.Text(info[1], "path"), {}};
  if (!info[2].IsUndefined()) {
    pin.hostname = args.Text(info[2], "hostname");
    if (args.ok() && !pin.uts) args.Fail("hostname", "absent for an ipc namespace");
  }
  if (!args.ok()) return RejectPending(info.Env());
  return RunOnThread(info.Env(), "berth.namespace", [pin]() { return PinHere(pin); });
}

}  // namespace

void ExportNamespace(Napi::Env env, Napi::Object exports) { ExportVerb<PinNamespace>(env, exports, "pinNamespace"); }

}  // namespace berth
