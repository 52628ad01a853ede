// watchReadable, watchWritable and watchPriority: an fd that calls back each time it has something, or room.
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <memory>

#include "args.h"
#include "verbs.h"
#include "watcher.h"

namespace berth {

namespace {

class FdWatcher : public Watcher {
 public:
  FdWatcher(Napi::Env env, Napi::Function callback) : Watcher(env), callback_(Napi::Persistent(callback)) {}

 protected:
  void OnReady(int /*status*/) override { Call(callback_, {}); }
  void OnClose() override { callback_.Reset(); }

 private:
  Napi::FunctionReference callback_;
};

class PriorityWatcher : public FdWatcher {
 public:
  using FdWatcher::FdWatcher;

 protected:
  void OnReady(int status) override {
    // A kernfs file (cgroup events) says POLLPRI until it is read again, and would keep the loop busy until JavaScript
    // gets to it. Our fd shares its open file with the caller's, so reading here re-arms both. Once its cgroup is
    // removed the file says POLLPRI for ever: tell it once more and stop.
    char byte;
    if (pread(fd(), &byte, 1, 0) < 0 && errno == ENODEV) StopWaiting();
    FdWatcher::OnReady(status);
  }
};

template <class Kind>
Napi::Value StartFdWatch(const Napi::CallbackInfo& info, const char* callbackName, int events) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const Napi::Function callback = args.Callback(info[1], callbackName);
  if (!args.ok()) return info.Env().Undefined();
  return StartWatch(info.Env(), std::make_shared<Kind>(info.Env(), callback), "berth.watch", fd, events);
}

Napi::Value WatchReadable(const Napi::CallbackInfo& info) {
  return StartFdWatch<FdWatcher>(info, "onReadable", UV_READABLE);
}

Napi::Value WatchWritable(const Napi::CallbackInfo& info) {
  return StartFdWatch<FdWatcher>(info, "onWritable", UV_WRITABLE);
}

Napi::Value WatchPriority(const Napi::CallbackInfo& info) {
  return StartFdWatch<PriorityWatcher>(info, "onEvent", UV_PRIORITIZED);
}

}  // namespace

void ExportWatch(Napi::Env env, Napi::Object exports) {
  ExportVerb<WatchReadable>(env, exports, "watchReadable");
  ExportVerb<WatchWritable>(env, exports, "watchWritable");
  ExportVerb<WatchPriority>(env, exports, "watchPriority");
}

}  // namespace berth
