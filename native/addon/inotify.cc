// inotifyOpen, inotifyAdd, inotifyRemove, inotifyRead: changes of files, with the word that some were lost, which fs.watch swallows
// (man 7 inotify).
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

constexpr size_t kReadBytes = 64 * 1024;

Napi::Value InotifyOpen(const Napi::CallbackInfo& info) {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return ThrowErrno(info.Env(), errno, "inotify_init1");
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value InotifyAdd(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const int place = args.Fd(info[1], "place");
  const uint32_t mask = args.Uint32(info[2], "mask");
  if (!args.ok()) return RejectPending(info.Env());
  const auto queue = std::make_shared<UniqueFd>(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  const auto held = std::make_shared<UniqueFd>(fcntl(place, F_DUPFD_CLOEXEC, 3));
  if (!*queue || !*held) return RejectErrno(info.Env(), EBADF, "fcntl");
  return RunOnThread(info.Env(), "berth.inotify", [=]() -> Outcome {
    const std::string path = "/proc/self/fd/" + std::to_string(held->get());
    const int watch = inotify_add_watch(queue->get(), path.c_str(), mask);
    if (watch < 0) return {errno, "inotify_add_watch", ""};
    Outcome outcome;
    outcome.number = watch;
    return outcome;
  });
}

Napi::Value InotifyRemove(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const int watch = args.Int32(info[1], "watch");
  if (args.ok() && inotify_rm_watch(fd, watch) != 0 && errno != EINVAL) return ThrowErrno(info.Env(), errno, "inotify_rm_watch");
  return info.Env().Undefined();
}

Napi::Value InotifyRead(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  std::vector<char> buffer(kReadBytes);
  const ssize_t length = read(fd, buffer.data(), buffer.size());
  if (length < 0 && errno != EAGAIN && errno != EINTR) return ThrowErrno(info.Env(), errno, "read");
  Napi::Array events = Napi::Array::New(info.Env());
  uint32_t count = 0;
  for (ssize_t at = 0; at < length;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
    Napi::Object told = Napi::Object::New(info.Env());
    told.Set("watch", event->wd);
    told.Set("mask", event->mask);
    told.Set("cookie", event->cookie);
    // The name ends at its first NUL; the rest is padding.
    told.Set("name", event->len == 0 ? std::string() : std::string(event->name));
    events.Set(count++, told);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  return events;
}

}  // namespace

void ExportInotify(Napi::Env env, Napi::Object exports) {
  ExportVerb<InotifyOpen>(env, exports, "inotifyOpen");
  ExportVerb<InotifyAdd>(env, exports, "inotifyAdd");
  ExportVerb<InotifyRemove>(env, exports, "inotifyRemove");
  ExportVerb<InotifyRead>(env, exports, "inotifyRead");
}

}  // namespace berth
