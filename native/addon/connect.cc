// vsockConnect and connectSocket: a non-blocking connect that the event loop waits for, with a time limit.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/time.h>
#include <sys/un.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>

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
    sockaddr_storage peer{};
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

/// Takes the socket over: it is the promise's value, or closed.
Napi::Value ConnectTo(Napi::Env env, UniqueFd socketFd, const sockaddr* address, socklen_t length, uint64_t timeoutMs) {
  if (connect(socketFd.get(), address, length) != 0 && errno != EINPROGRESS) return RejectErrno(env, errno, "connect");
  auto connector = std::make_shared<Connector>(env);
  const int error = connector->Start(env, "berth.connect", std::move(socketFd), UV_WRITABLE);
  if (error != 0) return RejectErrno(env, error, "epoll_ctl");
  connector->Limit(timeoutMs);
  return connector->promise();
}

uint64_t Milliseconds(Args& args, Napi::Value value) {
  return static_cast<uint64_t>(args.Integer(value, "timeoutMs", 0, std::numeric_limits<int>::max()));
}

Napi::Value VsockConnect(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  const uint32_t cid = args.Uint32(info[0], "cid");
  const uint32_t port = args.Uint32(info[1], "port");
  const uint64_t timeoutMs = Milliseconds(args, info[2]);
  if (!args.ok()) return RejectPending(env);

  UniqueFd socketFd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socketFd) return RejectErrno(env, errno, "socket");
  SetConnectTimeout(socketFd.get(), timeoutMs);
  const sockaddr_vm address = VsockAddress(cid, port);
  return ConnectTo(env, std::move(socketFd), reinterpret_cast<const sockaddr*>(&address), sizeof address, timeoutMs);
}

union Address {
  sockaddr_storage any;
  sockaddr plain;
  sockaddr_in inet;
  sockaddr_in6 inet6;
  sockaddr_un unix;
};

/// The length of the address, or 0 for a text that is none of the family's.
socklen_t ReadAddress(const std::string& text, uint16_t port, sa_family_t family, Address* address) {
  address->any.ss_family = family;
  if (family == AF_INET) {
    address->inet.sin_port = htons(port);
    return inet_pton(AF_INET, text.c_str(), &address->inet.sin_addr) == 1 ? sizeof address->inet : 0;
  }
  if (family == AF_INET6) {
    address->inet6.sin6_port = htons(port);
    return inet_pton(AF_INET6, text.c_str(), &address->inet6.sin6_addr) == 1 ? sizeof address->inet6 : 0;
  }
  // A path with its NUL; an abstract name, given with '@' for its own first NUL, without one.
  if (text.size() >= sizeof address->unix.sun_path) return 0;
  std::copy(text.begin(), text.end(), address->unix.sun_path);
  const bool abstract = text[0] == '@';
  if (abstract) address->unix.sun_path[0] = 0;
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (abstract ? 0 : 1));
}

Napi::Value ConnectSocket(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  const int given = args.Fd(info[0], "socketFd");
  const std::string text = args.Text(info[1], "address");
  const auto port = static_cast<uint16_t>(args.Integer(info[2], "port", 0, std::numeric_limits<uint16_t>::max()));
  const uint64_t timeoutMs = Milliseconds(args, info[3]);
  if (!args.ok()) return RejectPending(env);
  int family = AF_UNSPEC;
  socklen_t length = sizeof family;
  if (getsockopt(given, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return RejectErrno(env, errno, "getsockopt");
  Address address{};
  length = ReadAddress(text, port, static_cast<sa_family_t>(family), &address);
  if (length == 0) {
    args.Fail("address", "an address of the socket's family");
    return RejectPending(env);
  }
  UniqueFd own(fcntl(given, F_DUPFD_CLOEXEC, 3));
  if (!own) return RejectErrno(env, errno, "fcntl");
  return ConnectTo(env, std::move(own), &address.plain, length, timeoutMs);
}

}  // namespace

void ExportConnect(Napi::Env env, Napi::Object exports) {
  ExportVerb<VsockConnect>(env, exports, "vsockConnect");
  ExportVerb<ConnectSocket>(env, exports, "connectSocket");
}

}  // namespace berth
