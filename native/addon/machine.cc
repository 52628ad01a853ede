// The machine itself: mounts, clock, heap.
#include <malloc.h>
#include <sys/mount.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "args.h"
#include "system_error.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

Napi::Value Mount(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string source = args.TextOrEmpty(info[0], "source");
  const std::string target = args.Text(info[1], "target");
  const std::string fstype = args.TextOrEmpty(info[2], "fstype");
  const uint32_t flags = args.Uint32(info[3], "flags");
  const std::string data = args.TextOrEmpty(info[4], "data");
  if (!args.ok()) return RejectPending(info.Env());
  return RunOnThread(info.Env(), "berth.mount", [=]() -> Outcome {
    const void* options = data.empty() ? nullptr : data.c_str();
    if (mount(source.c_str(), target.c_str(), fstype.empty() ? nullptr : fstype.c_str(), flags, options) == 0) return {};
    return {errno, "mount", target};
  });
}

Napi::Value Umount(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string target = args.Text(info[0], "target");
  const int flags = args.Fd(info[1], "flags");
  if (!args.ok()) return RejectPending(info.Env());
  return RunOnThread(info.Env(), "berth.umount", [=]() -> Outcome {
    if (umount2(target.c_str(), flags) == 0) return {};
    return {errno, "umount2", target};
  });
}

Napi::Value SetTimeOfDay(const Napi::CallbackInfo& info) {
  Args args(info);
  timeval time{};
  time.tv_sec = args.BigInt64(info[0], "seconds");
  time.tv_usec = args.Integer(info[1], "microseconds", 0, 999'999);
  if (!args.ok()) return info.Env().Undefined();
  if (settimeofday(&time, nullptr) != 0) return ThrowErrno(info.Env(), errno, "settimeofday");
  return info.Env().Undefined();
}

Napi::Value MallocTrim(const Napi::CallbackInfo& info) {
  malloc_trim(0);
  return info.Env().Undefined();
}

}  // namespace

void ExportMachine(Napi::Env env, Napi::Object exports) {
  ExportVerb<Mount>(env, exports, "mount");
  ExportVerb<Umount>(env, exports, "umount");
  ExportVerb<SetTimeOfDay>(env, exports, "setTimeOfDay");
  ExportVerb<MallocTrim>(env, exports, "mallocTrim");
}

}  // namespace berth
