// vsockAccept: takes connections off a listening vsock socket and lets only the allowed peer through.
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "args.h"
#include "system_error.h"
#include "verbs.h"
#include "vsock.h"
#include "watcher.h"

namespace berth {

namespace {

// So that a flood of connections leaves the loop time for everything else.
constexpr int kAcceptsPerWakeup = 64;
// How long to leave the queue alone when the kernel has nothing to accept with; waiting on it would only spin.
constexpr uint64_t kRetryMs = 100;

class Acceptor : public Watcher {
 public:
  Acceptor(Napi::Env env, std::optional<uint32_t> allowedCid, Napi::Function onConnection)
      : Watcher(env), allowedCid_(allowedCid), onConnection_(Napi::Persistent(onConnection)) {
    OpenSpare();
  }

  uint64_t refused() const { return refused_; }
  uint64_t shed() const { return shed_; }

 protected:
  void OnReady(int status) override {
    if (status < 0) return RetryLater();
    for (int accepted = 0; accepted < kAcceptsPerWakeup && !closed(); accepted++) {
      if (!AcceptOne()) return;
    }
  }

  void OnTimer() override { WaitAgain(); }

  void OnClose() override {
    onConnection_.Reset();
    spare_.Reset();
  }

 private:
  /// False when there is nothing more to take for now.
  bool AcceptOne() {
    sockaddr_vm peer{};
    socklen_t length = sizeof peer;
    UniqueFd connection(accept4(fd(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) return AfterFailure(errno);
    if (allowedCid_ && peer.svm_cid != *allowedCid_) {
      refused_++;
      return true;
    }
    Call(onConnection_, {Napi::Number::New(env(), connection.Release()), VsockAddressObject(env(), peer)});
    return true;
  }

  bool AfterFailure(int error) {
    switch (error) {
      case EAGAIN:
        return false;
      case EINTR:
      case ECONNABORTED:
        return true;
      case EMFILE:
      case ENFILE:
        if (Shed()) return true;
        break;
      default:
        break;
    }
    RetryLater();
    return false;
  }

  /// Out of fds: gives up the spare one to take the connection and close it, so that its peer learns at once.
  bool Shed() {
    if (!spare_) return false;
    spare_.Reset();
    {
      const UniqueFd connection(accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return false;
    }
    shed_++;
    OpenSpare();
    return true;
  }

  void OpenSpare() {
    if (!spare_) spare_.Reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
  }

  void RetryLater() {
    StopWaiting();
    StartTimer(kRetryMs);
    OpenSpare();
  }

  std::optional<uint32_t> allowedCid_;
  Napi::FunctionReference onConnection_;
  UniqueFd spare_;
  uint64_t refused_ = 0;
  uint64_t shed_ = 0;
};

/// 0 for a listening vsock socket.
int CheckListener(int fd) {
  int domain = 0;
  int listening = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) return errno;
  length = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0) return errno;
  if (domain != AF_VSOCK) return EAFNOSUPPORT;
  return listening != 0 ? 0 : EINVAL;
}

Napi::Value VsockAccept(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  const int listenFd = args.Fd(info[0], "listenFd");
  std::optional<uint32_t> allowedCid;
  if (!info[1].IsUndefined()) allowedCid = args.Uint32(info[1], "allowedCid");
  const Napi::Function onConnection = args.Callback(info[2], "onConnection");
  if (!args.ok()) return env.Undefined();
  const int error = CheckListener(listenFd);
  if (error != 0) return ThrowErrno(env, error, "getsockopt");

  auto acceptor = std::make_shared<Acceptor>(env, allowedCid, onConnection);
  const Napi::Value watch = StartWatch(env, acceptor, "berth.accept", listenFd, UV_READABLE);
  if (env.IsExceptionPending()) return watch;
  const auto count = [env](uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); };
  watch.As<Napi::Object>().DefineProperties(
      {Napi::PropertyDescriptor::Accessor(env, watch.As<Napi::Object>(), "refused",
                                          [acceptor, count](const Napi::CallbackInfo&) { return count(acceptor->refused()); },
                                          napi_enumerable),
       Napi::PropertyDescriptor::Accessor(env, watch.As<Napi::Object>(), "shed",
                                          [acceptor, count](const Napi::CallbackInfo&) { return count(acceptor->shed()); },
                                          napi_enumerable)});
  return watch;
}

}  // namespace

void ExportAccept(Napi::Env env, Napi::Object exports) { ExportVerb<VsockAccept>(env, exports, "vsockAccept"); }

}  // namespace berth
