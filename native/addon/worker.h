// A blocking system call on libuv's thread pool, as a promise.
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
};

/// Runs `work` on a pool thread; it must touch no JavaScript. The promise resolves to undefined.
Napi::Value RunOnWorker(Napi::Env env, const char* resource, std::function<Outcome()> work);

}  // namespace berth
