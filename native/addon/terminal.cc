// Terminals: pty pairs, window size, raw mode.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"

namespace berth {

namespace {

Napi::Value SetWinsize(const Napi::CallbackInfo& info) {
  constexpr int64_t kMax = std::numeric_limits<unsigned short>::max();
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  winsize size{};
  size.ws_row = static_cast<unsigned short>(args.Integer(info[1], "rows", 0, kMax));
  size.ws_col = static_cast<unsigned short>(args.Integer(info[2], "columns", 0, kMax));
  if (!args.ok()) return info.Env().Undefined();
  if (ioctl(fd, TIOCSWINSZ, &size) != 0) return ThrowErrno(info.Env(), errno, "ioctl");
  return info.Env().Undefined();
}

Napi::Value GetWinsize(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) return ThrowErrno(info.Env(), errno, "ioctl");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("rows", Napi::Number::New(info.Env(), size.ws_row));
  result.Set("columns", Napi::Number::New(info.Env(), size.ws_col));
  return result;
}

Napi::Value OpenPty(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master) return ThrowErrno(env, errno, "posix_openpt");
  if (grantpt(master.get()) != 0) return ThrowErrno(env, errno, "grantpt");
  if (unlockpt(master.get()) != 0) return ThrowErrno(env, errno, "unlockpt");
  char path[64];
  const int named = ptsname_r(master.get(), path, sizeof path);
  if (named != 0) return ThrowErrno(env, named, "ptsname_r");
  // By ioctl and not by the path, which in another mount namespace may lead elsewhere.
  UniqueFd slave(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) return ThrowErrno(env, errno, "ioctl", path);

  Napi::Object pty = Napi::Object::New(env);
  pty.Set("master", Napi::Number::New(env, master.Release()));
  pty.Set("slave", Napi::Number::New(env, slave.Release()));
  pty.Set("path", Napi::String::New(env, path));
  return pty;
}

Napi::Value MakeRaw(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  termios before{};
  if (tcgetattr(fd, &before) != 0) return ThrowErrno(info.Env(), errno, "tcgetattr");
  termios raw = before;
  cfmakeraw(&raw);
  if (tcsetattr(fd, TCSANOW, &raw) != 0) return ThrowErrno(info.Env(), errno, "tcsetattr");
  return Napi::Buffer<char>::Copy(info.Env(), reinterpret_cast<const char*>(&before), sizeof before);
}

Napi::Value RestoreTerminal(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const Napi::Uint8Array state = args.Bytes(info[1], "state");
  termios before{};
  if (args.ok() && state.ByteLength() != sizeof before) args.Fail("state", "what makeRaw returned");
  if (!args.ok()) return info.Env().Undefined();
  std::memcpy(&before, state.Data(), sizeof before);
  if (tcsetattr(fd, TCSANOW, &before) != 0) return ThrowErrno(info.Env(), errno, "tcsetattr");
  return info.Env().Undefined();
}

Napi::Value OpenTerminalPeer(const Napi::CallbackInfo& info) {
  Args args(info);
  const int master = args.Fd(info[0], "master");
  if (!args.ok()) return info.Env().Undefined();
  const int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (peer < 0) return ThrowErrno(info.Env(), errno, "ioctl");
  return Napi::Number::New(info.Env(), peer);
}

}  // namespace

void ExportTerminal(Napi::Env env, Napi::Object exports) {
  ExportVerb<SetWinsize>(env, exports, "setWinsize");
  ExportVerb<GetWinsize>(env, exports, "getWinsize");
  ExportVerb<OpenPty>(env, exports, "openPty");
  ExportVerb<MakeRaw>(env, exports, "makeRaw");
  ExportVerb<RestoreTerminal>(env, exports, "restoreTerminal");
  ExportVerb<OpenTerminalPeer>(env, exports, "openTerminalPeer");
}

}  // namespace berth
