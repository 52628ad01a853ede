// Plain file descriptors: pipes, socket pairs, close.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "args.h"
#include "system_error.h"
#include "verbs.h"

namespace berth {

namespace {

Napi::Value FdPair(Napi::Env env, const int (&fds)[2]) {
  Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0U, Napi::Number::New(env, fds[0]));
  pair.Set(1U, Napi::Number::New(env, fds[1]));
  return pair;
}

Napi::Value Pipe(const Napi::CallbackInfo& info) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ThrowErrno(info.Env(), errno, "pipe2");
  return FdPair(info.Env(), fds);
}

Napi::Value SetPipeSize(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const int bytes = static_cast<int>(args.Integer(info[1], "bytes", 1, std::numeric_limits<int>::max()));
  if (!args.ok()) return info.Env().Undefined();
  const int size = fcntl(fd, F_SETPIPE_SZ, bytes);
  if (size < 0) return ThrowErrno(info.Env(), errno, "fcntl");
  return Napi::Number::New(info.Env(), size);
}

Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string type = info[0].IsUndefined() ? "stream" : args.Text(info[0], "type");
  if (args.ok() && type != "stream" && type != "seqpacket") args.Fail("type", "'stream' or 'seqpacket'");
  if (!args.ok()) return info.Env().Undefined();
  int fds[2];
  const int kind = type == "stream" ? SOCK_STREAM : SOCK_SEQPACKET;
  if (socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, fds) != 0) return ThrowErrno(info.Env(), errno, "socketpair");
  return FdPair(info.Env(), fds);
}

Napi::Value Close(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  // The fd is gone after EINTR too (man 2 close).
  if (close(fd) != 0 && errno != EINTR) return ThrowErrno(info.Env(), errno, "close");
  return info.Env().Undefined();
}

}  // namespace

void ExportFds(Napi::Env env, Napi::Object exports) {
  ExportVerb<Pipe>(env, exports, "pipe");
  ExportVerb<SetPipeSize>(env, exports, "setPipeSize");
  ExportVerb<SocketPair>(env, exports, "socketPair");
  ExportVerb<Close>(env, exports, "close");
}

}  // namespace berth
