// Stream sockets by descriptor: made in the network of any process, read, written and half-closed without ever waiting (man 7 socket).
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

constexpr double kWouldBlock = -1;

/// A network namespace belongs to a thread, and the one this runs on ends with the call (man 2 setns, a pidfd since Linux 5.8).
Outcome MakeSocket(int pidfd, int family) {
  if (pidfd >= 0 && setns(pidfd, CLONE_NEWNET) != 0) return {errno, "setns", {}};
  UniqueFd made(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return {errno, "socket", {}};
  const int on = 1;
  if (family != AF_UNIX) setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return {0, "", {}, made.Release()};
}

Napi::Value SocketIn(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string family = args.Text(info[1], "family");
  const int number = family == "inet" ? AF_INET : family == "inet6" ? AF_INET6 : AF_UNIX;
  if (args.ok() && number == AF_UNIX && family != "unix") args.Fail("family", "'inet', 'inet6' or 'unix'");
  const bool here = info[0].IsUndefined();
  const int pidfd = here ? -1 : args.Fd(info[0], "pidfd");
  if (!args.ok()) return RejectPending(info.Env());
  // The thread's own: the caller may close its descriptor at once.
  const auto process = std::make_shared<UniqueFd>(here ? -1 : fcntl(pidfd, F_DUPFD_CLOEXEC, 3));
  if (!here && !*process) return RejectErrno(info.Env(), errno, "fcntl");
  return RunOnThread(info.Env(), "berth.socket", [=]() { return MakeSocket(process->get(), number); });
}

Napi::Value Receive(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  Napi::Uint8Array buffer = args.Bytes(info[1], "buffer");
  if (args.ok() && buffer.ByteLength() == 0) args.Fail("buffer", "at least one byte");
  if (!args.ok()) return info.Env().Undefined();
  ssize_t got;
  do {
    got = recv(fd, buffer.Data(), buffer.ByteLength(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return Napi::Number::New(info.Env(), kWouldBlock);
  if (got < 0) return ThrowErrno(info.Env(), errno, "recv");
  return Napi::Number::New(info.Env(), static_cast<double>(got));
}

Napi::Value Transmit(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const Napi::Uint8Array data = args.Bytes(info[1], "data");
  if (!args.ok()) return info.Env().Undefined();
  ssize_t sent;
  do {
    sent = send(fd, data.Data(), data.ByteLength(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EAGAIN) return Napi::Number::New(info.Env(), kWouldBlock);
  if (sent < 0) return ThrowErrno(info.Env(), errno, "send");
  return Napi::Number::New(info.Env(), static_cast<double>(sent));
}

Napi::Value ShutdownWrites(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  if (shutdown(fd, SHUT_WR) != 0) return ThrowErrno(info.Env(), errno, "shutdown");
  return info.Env().Undefined();
}

Napi::Value ResetOnClose(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  const linger now{1, 0};
  if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0) return ThrowErrno(info.Env(), errno, "setsockopt");
  return info.Env().Undefined();
}

}  // namespace

void ExportStreamSocket(Napi::Env env, Napi::Object exports) {
  ExportVerb<SocketIn>(env, exports, "socketIn");
  ExportVerb<Receive>(env, exports, "receive");
  ExportVerb<Transmit>(env, exports, "transmit");
  ExportVerb<ShutdownWrites>(env, exports, "shutdownWrites");
  ExportVerb<ResetOnClose>(env, exports, "resetOnClose");
}

}  // namespace berth
