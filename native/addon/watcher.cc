#include "watcher.h"

#include <fcntl.h>

#include <cerrno>

#include "system_error.h"

namespace berth {

int Watcher::Start(Napi::Env env, const char* resource, UniqueFd fd, int events) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return EINVAL;
  const int polled = uv_poll_init(loop, &poll_, fd.get());
  if (polled < 0) return -polled;
  uv_timer_init(loop, &timer_);
  poll_.data = this;
  timer_.data = this;

  fd_ = std::move(fd);
  events_ = events;
  openHandles_ = 2;
  state_ = State::kOpen;
  self_ = shared_from_this();
  context_ = std::make_unique<Napi::AsyncContext>(env, resource);
  // Without it a worker thread that ends would find handles open in its loop, which aborts the process.
  if (napi_add_async_cleanup_hook(env, OnTeardown, this, &teardown_) != napi_ok) teardown_ = nullptr;

  const int started = uv_poll_start(&poll_, events, OnPoll);
  if (started < 0) Close();
  return -started;
}

void Watcher::Close() {
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnHandleClosed);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), OnHandleClosed);
  fd_.Reset();  // allowed as soon as uv_close was called on the poll handle
  OnClose();
}

UniqueFd Watcher::TakeFd() {
  // libuv forgets the fd in uv_close, before anyone else can use it.
  UniqueFd taken = std::move(fd_);
  Close();
  return taken;
}

void Watcher::OnHandleClosed(uv_handle_t* handle) {
  auto* watcher = static_cast<Watcher*>(handle->data);
  if (--watcher->openHandles_ > 0) return;
  watcher->state_ = State::kClosed;
  {
    Napi::HandleScope scope(watcher->env_);
    watcher->context_.reset();
  }
  if (watcher->teardown_ != nullptr) napi_remove_async_cleanup_hook(watcher->teardown_);
  const std::shared_ptr<Watcher> last = std::move(watcher->self_);
}

void Watcher::OnTeardown(napi_async_cleanup_hook_handle /*handle*/, void* data) {
  auto* watcher = static_cast<Watcher*>(data);
  Napi::HandleScope scope(watcher->env_);
  watcher->Close();
}

void Watcher::OnPoll(uv_poll_t* handle, int status, int /*events*/) {
  auto* watcher = static_cast<Watcher*>(handle->data);
  if (watcher->closed()) return;
  Napi::HandleScope scope(watcher->env_);
  watcher->OnReady(status);
}

void Watcher::OnTimeout(uv_timer_t* handle) {
  auto* watcher = static_cast<Watcher*>(handle->data);
  if (watcher->closed()) return;
  Napi::HandleScope scope(watcher->env_);
  watcher->OnTimer();
}

void Watcher::StartTimer(uint64_t timeoutMs) {
  if (closed()) return;
  uv_update_time(timer_.loop);  // the loop's clock stands still while JavaScript runs, and the wait would be that much shorter
  uv_timer_start(&timer_, OnTimeout, timeoutMs, 0);
}

void Watcher::StopWaiting() {
  if (!closed()) uv_poll_stop(&poll_);
}

void Watcher::WaitAgain() {
  if (!closed()) uv_poll_start(&poll_, events_, OnPoll);
}

void Watcher::Ref() {
  if (closed()) return;
  uv_ref(reinterpret_cast<uv_handle_t*>(&poll_));
  uv_ref(reinterpret_cast<uv_handle_t*>(&timer_));
}

void Watcher::Unref() {
  if (closed()) return;
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));
}

void Watcher::Call(const Napi::FunctionReference& callback, std::initializer_list<napi_value> arguments) {
  // Plain Node-API: when the callback ends its worker (process.exit) there is no exception to be had and none to report.
  const napi_status called = napi_make_callback(env_, *context_, env_.Global(), callback.Value(), arguments.size(),
                                                arguments.begin(), nullptr);
  napi_value thrown = nullptr;
  if (called != napi_pending_exception || napi_get_and_clear_last_exception(env_, &thrown) != napi_ok) return;
  if (thrown != nullptr) napi_fatal_exception(env_, thrown);
}

Napi::Object WatchObject(Napi::Env env, std::shared_ptr<Watcher> watcher) {
  Napi::Object watch = Napi::Object::New(env);
  watch.Set("close", Napi::Function::New(env, [watcher](const Napi::CallbackInfo&) { watcher->Close(); }, "close"));
  watch.Set("pause", Napi::Function::New(env, [watcher](const Napi::CallbackInfo&) { watcher->StopWaiting(); }, "pause"));
  watch.Set("resume", Napi::Function::New(env, [watcher](const Napi::CallbackInfo&) { watcher->WaitAgain(); }, "resume"));
  watch.Set("ref", Napi::Function::New(env, [watcher](const Napi::CallbackInfo&) { watcher->Ref(); }, "ref"));
  watch.Set("unref", Napi::Function::New(env, [watcher](const Napi::CallbackInfo&) { watcher->Unref(); }, "unref"));
  return watch;
}

Napi::Value StartWatch(Napi::Env env, const std::shared_ptr<Watcher>& watcher, const char* resource, int fd, int events) {
  UniqueFd own(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own) return ThrowErrno(env, errno, "fcntl");
  const int error = watcher->Start(env, resource, std::move(own), events);
  if (error != 0) return ThrowErrno(env, error, "epoll_ctl");
  return WatchObject(env, watcher);
}

}  // namespace berth
