// vsockConnect: a non-blocking connect that the event loop waits for, with a time limit.
#include <sys/time.h>
#include <uv.h>

#include <cerrno>
#include <memory>

#include "args.h"
#include "deferred.h"
#include "system_error.h"
#include "verbs.h"
#include "vsock.h"
#include "watcher.h"

namespace berth {

namespace {

class Connector : public Watcher {
 public:
  explicit Connector(Napi::Env env) : Watcher(env), deferred_(env) {}

  Napi::Value promise() const { return deferred_.promise(); }
  void Limit(uint64_t timeoutMs) { StartTimer(timeoutMs); }

 protected:
  void OnReady(int /*status*/) override {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
    if (error != 0) return Reject(error);
    sockaddr_vm peer{};
    length = sizeof peer;
    if (getpeername(fd(), reinterpret_cast<sockaddr*>(&peer), &length) != 0) return;  // still on its way
    Resolve();
  }

  void OnTimer() override { Reject(ETIMEDOUT); }

 private:
  void Resolve() {
    const Napi::CallbackScope scope(env(), context());
    deferred_.Resolve(Napi::Number::New(env(), TakeFd().Release()));
  }
  void Reject(int error) {
    const Napi::CallbackScope scope(env(), context());
    Close();
    deferred_.Reject(SystemError(env(), error, "connect").Value());
  }

  Deferred deferred_;
};

void SetConnectTimeout(int fd, uint64_t timeoutMs) {
  // The kernel gives up after 2 s by itself; ours is the limit that counts.
  const timeval limit{static_cast<time_t>(timeoutMs / 1000 + 1), 0};
  setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof limit);
}

Napi::Value VsockConnect(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  const uint32_t cid = args.Uint32(info[0], "cid");
  const uint32_t port = args.Uint32(info[1], "port");
  const auto timeoutMs = static_cast<uint64_t>(args.Integer(info[2], "timeoutMs", 0, std::numeric_limits<int>::max()));
  if (!args.ok()) return RejectPending(env);

  UniqueFd socketFd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socketFd) return RejectErrno(env, errno, "socket");
  SetConnectTimeout(socketFd.get(), timeoutMs);
  const sockaddr_vm address = VsockAddress(cid, port);
  if (connect(socketFd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    return RejectErrno(env, errno, "connect");
  }
  auto connector = std::make_shared<Connector>(env);
  const int error = connector->Start(env, "berth.connect", std::move(socketFd), UV_WRITABLE);
  if (error != 0) return RejectErrno(env, error, "epoll_ctl");
  connector->Limit(timeoutMs);
  return connector->promise();
}

}  // namespace

void ExportConnect(Napi::Env env, Napi::Object exports) { ExportVerb<VsockConnect>(env, exports, "vsockConnect"); }

}  // namespace berth
