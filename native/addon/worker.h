// A system call that may hang, on a thread of its own, as a promise. Not on libuv's pool: that is small, and a few hung
// mounts would take every file read of the process with them.
#pragma once

#include <napi.h>

#include <functional>
#include <string>

namespace berth {

/// What went wrong, or error 0.
struct Outcome {
  int error = 0;
  const char* syscall = "";
  std::string path;
  /// Made by the work, to be given to JavaScript; -1 if it makes none.
  int fd = -1;
  /// As it is, for JavaScript; -1 for none.
  int number = -1;
};

/// Runs `work` on a new thread, which ends with it; it must touch no JavaScript. The promise resolves to undefined, or to
/// the fd that the work made (closed if there is nobody left to have it), or to its number.
/// At most 64 run at a time: one more is rejected with EAGAIN.
Napi::Value RunOnThread(Napi::Env env, const char* resource, std::function<Outcome()> work);

}  // namespace berth
