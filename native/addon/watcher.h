// Something that waits on the event loop for one fd, with a timer beside it. Shared by every watch and by
// vsockConnect; the loop keeps it alive from Start until both handles have closed, whoever else lets go of it.
#pragma once

#include <napi.h>
#include <uv.h>

#include <initializer_list>
#include <memory>

#include "unique_fd.h"

namespace berth {

class Watcher : public std::enable_shared_from_this<Watcher> {
 public:
  virtual ~Watcher() = default;

  /// Waits for `events` (UV_READABLE ...) on `fd`, which it owns. Returns 0 or an errno; EPERM when epoll can't wait for it.
  int Start(Napi::Env env, const char* resource, UniqueFd fd, int events);
  /// Stops and closes its fd at once, also from within OnReady; idempotent.
  void Close();
  void Ref();
  void Unref();
  bool closed() const { return state_ != State::kOpen; }
  void StopWaiting();
  void WaitAgain();

 protected:
  explicit Watcher(Napi::Env env) : env_(env) {}
  /// `status` is 0, or negative when the fd is in error: libuv has stopped waiting then.
  virtual void OnReady(int status) = 0;
  virtual void OnTimer() {}
  /// Lets go of JavaScript values.
  virtual void OnClose() {}

  int fd() const { return fd_.get(); }
  Napi::Env env() const { return env_; }
  napi_async_context context() const { return *context_; }
  /// Stops, and gives the fd away instead of closing it.
  UniqueFd TakeFd();
  void StartTimer(uint64_t timeoutMs);
  /// Calls into JavaScript; what it throws becomes an uncaught exception, as from any Node callback.
  void Call(const Napi::FunctionReference& callback, std::initializer_list<napi_value> arguments);

 private:
  enum class State { kNew, kOpen, kClosing, kClosed };

  static void OnPoll(uv_poll_t* handle, int status, int events);
  static void OnTimeout(uv_timer_t* handle);
  static void OnHandleClosed(uv_handle_t* handle);
  static void OnTeardown(napi_async_cleanup_hook_handle handle, void* data);

  Napi::Env env_;
  UniqueFd fd_;
  int events_ = 0;
  State state_ = State::kNew;
  int openHandles_ = 0;
  uv_poll_t poll_{};
  uv_timer_t timer_{};
  napi_async_cleanup_hook_handle teardown_ = nullptr;
  std::unique_ptr<Napi::AsyncContext> context_;
  std::shared_ptr<Watcher> self_;
};

/// The `Watch` JavaScript gets: close, pause, resume, ref, unref.
Napi::Object WatchObject(Napi::Env env, std::shared_ptr<Watcher> watcher);

/// Starts `watcher` on a close-on-exec duplicate of `fd`, so that closing `fd` early can't confuse the event loop,
/// and gives its Watch, or throws.
Napi::Value StartWatch(Napi::Env env, const std::shared_ptr<Watcher>& watcher, const char* resource, int fd, int events);

}  // namespace berth
