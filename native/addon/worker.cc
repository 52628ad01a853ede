#include "worker.h"

#include <pthread.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <utility>

#include "deferred.h"
#include "system_error.h"

namespace berth {

namespace {

constexpr int kMaxThreads = 64;
// Ours call no deeper than the C library.
constexpr size_t kStackSize = 256 * 1024;

std::atomic<int> running{0};

/// What both threads hold. The environment may end while the call hangs: then nobody is told.
struct Call {
  std::function<Outcome()> work;
  std::mutex lock;  // over what follows
  Outcome outcome;
  uv_async_t* told = nullptr;
};

void Discard(const Outcome& outcome) {
  if (outcome.fd >= 0) close(outcome.fd);
}

void* RunCall(void* data) {
  const std::unique_ptr<std::shared_ptr<Call>> call(static_cast<std::shared_ptr<Call>*>(data));
  // What the work holds goes before its outcome is told: fds among it.
  Outcome outcome = std::exchange((*call)->work, nullptr)();
  running--;
  const std::lock_guard<std::mutex> guard((*call)->lock);
  if ((*call)->told == nullptr) {
    Discard(outcome);
    return nullptr;
  }
  (*call)->outcome = std::move(outcome);
  uv_async_send((*call)->told);
  return nullptr;
}

int StartThread(const std::shared_ptr<Call>& call) {
  if (running.fetch_add(1) >= kMaxThreads) {
    running--;
    return EAGAIN;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackSize);
  auto share = std::make_unique<std::shared_ptr<Call>>(call);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, RunCall, share.get());
  pthread_attr_destroy(&attributes);
  if (error == 0) {
    static_cast<void>(share.release());  // the thread's now
  } else {
    running--;
  }
  return error;
}

/// The loop's side; owns itself from Start until its handle has closed.
class Worker {
 public:
  Worker(Napi::Env env, const char* resource, std::function<Outcome()> work)
      : env_(env), context_(env, resource), deferred_(env) {
    call_->work = std::move(work);
  }

  Napi::Value promise() const { return deferred_.promise(); }

  /// 0 or an errno; when it fails the caller deletes it.
  int Start() {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return EINVAL;
    const int error = uv_async_init(loop, &told_, OnTold);
    if (error < 0) return -error;
    told_.data = this;
    call_->told = &told_;
    if (napi_add_async_cleanup_hook(env_, OnTeardown, this, &teardown_) != napi_ok) teardown_ = nullptr;
    // Too late to fail by the return value: the handle has to be closed first.
    const int started = StartThread(call_);
    if (started != 0) {
      call_->outcome = {started, "pthread_create", {}};
      uv_async_send(&told_);
    }
    return 0;
  }

 private:
  static void OnTold(uv_async_t* handle) {
    auto* worker = static_cast<Worker*>(handle->data);
    if (worker->closing_) return;
    const Napi::HandleScope scope(worker->env_);
    const Outcome outcome = worker->Close();
    const Napi::CallbackScope callback(worker->env_, worker->context_);
    if (outcome.fd >= 0) return worker->deferred_.Resolve(Napi::Number::New(worker->env_, outcome.fd));
    if (outcome.number >= 0) return worker->deferred_.Resolve(Napi::Number::New(worker->env_, outcome.number));
    if (outcome.error == 0) return worker->deferred_.Resolve(worker->env_.Undefined());
    worker->deferred_.Reject(SystemError(worker->env_, outcome.error, outcome.syscall, outcome.path).Value());
  }

  static void OnTeardown(napi_async_cleanup_hook_handle /*handle*/, void* data) {
    Discard(static_cast<Worker*>(data)->Close());
  }

  /// The outcome is its first caller's.
  Outcome Close() {
    const std::lock_guard<std::mutex> guard(call_->lock);
    call_->told = nullptr;
    if (!closing_) uv_close(reinterpret_cast<uv_handle_t*>(&told_), OnClosed);
    closing_ = true;
    return std::exchange(call_->outcome, {});
  }

  static void OnClosed(uv_handle_t* handle) {
    auto* worker = static_cast<Worker*>(handle->data);
    const napi_async_cleanup_hook_handle teardown = worker->teardown_;
    {
      const Napi::HandleScope scope(worker->env_);
      delete worker;
    }
    if (teardown != nullptr) napi_remove_async_cleanup_hook(teardown);
  }

  Napi::Env env_;
  Napi::AsyncContext context_;
  Deferred deferred_;
  std::shared_ptr<Call> call_ = std::make_shared<Call>();
  uv_async_t told_{};
  bool closing_ = false;
  napi_async_cleanup_hook_handle teardown_ = nullptr;
};

}  // namespace

Napi::Value RunOnThread(Napi::Env env, const char* resource, std::function<Outcome()> work) {
  auto worker = std::make_unique<Worker>(env, resource, std::move(work));
  const int error = worker->Start();
  if (error != 0) return RejectErrno(env, error, "uv_async_init");
  return worker.release()->promise();
}

}  // namespace berth
