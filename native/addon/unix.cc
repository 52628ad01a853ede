// Unix sockets: a listener at a path, and messages that carry fds (man 7 unix, SCM_RIGHTS).
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"

namespace berth {

namespace {

constexpr uint32_t kMaxFds = 16;
constexpr uint32_t kMaxMessage = 1 << 20;

union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kMaxFds)];
};

Napi::Value SendFds(const Napi::CallbackInfo& info) {
  Args args(info);
  const int socketFd = args.Fd(info[0], "socketFd");
  const Napi::Uint8Array data = args.Bytes(info[1], "data");
  const std::vector<int> fds = args.Ints(info[2], "fds", 0, kMaxFds);
  // On a stream socket the fds ride on a byte; without one they would be dropped silently.
  if (args.ok() && data.ByteLength() == 0) args.Fail("data", "at least one byte");
  if (!args.ok()) return info.Env().Undefined();

  iovec vector{const_cast<uint8_t*>(data.Data()), data.ByteLength()};
  Control control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    const size_t size = sizeof(int) * fds.size();
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), fds.data(), size);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socketFd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return ThrowErrno(info.Env(), errno, "sendmsg");
  return Napi::Number::New(info.Env(), static_cast<double>(sent));
}

std::vector<UniqueFd> TakeFds(msghdr* message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

Napi::Value RecvFds(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  const int socketFd = args.Fd(info[0], "socketFd");
  const auto maxBytes = static_cast<size_t>(args.Integer(info[1], "maxBytes", 1, kMaxMessage));
  if (!args.ok()) return env.Undefined();

  std::vector<uint8_t> bytes(maxBytes);
  iovec vector{bytes.data(), bytes.size()};
  Control control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t received;
  do {
    received = recvmsg(socketFd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return ThrowErrno(env, errno, "recvmsg");

  std::vector<UniqueFd> fds = TakeFds(&message);
  // A message we can't give whole is refused whole, and its fds closed: half of one would be taken for all of it.
  if ((message.msg_flags & MSG_TRUNC) != 0) return ThrowErrno(env, EMSGSIZE, "recvmsg");
  if ((message.msg_flags & MSG_CTRUNC) != 0) return ThrowErrno(env, fds.size() < kMaxFds ? EMFILE : EMSGSIZE, "recvmsg");

  Napi::Array numbers = Napi::Array::New(env, fds.size());
  for (size_t i = 0; i < fds.size(); i++) numbers.Set(static_cast<uint32_t>(i), Napi::Number::New(env, fds[i].Release()));
  Napi::Object result = Napi::Object::New(env);
  result.Set("data", Napi::Buffer<uint8_t>::Copy(env, bytes.data(), static_cast<size_t>(received)));
  result.Set("fds", numbers);
  return result;
}

Napi::Value UnixListen(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string path = args.Text(info[0], "path");
  const int backlog = args.Fd(info[1], "backlog");
  if (!args.ok()) return info.Env().Undefined();

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ThrowErrno(info.Env(), ENAMETOOLONG, "bind", path);
  std::copy(path.begin(), path.end(), address.sun_path);
  UniqueFd socketFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socketFd) return ThrowErrno(info.Env(), errno, "socket");
  // bind makes the file with the socket's own mode, so it is never open to others, not even for a moment.
  if (fchmod(socketFd.get(), 0600) != 0) return ThrowErrno(info.Env(), errno, "fchmod", path);
  if (bind(socketFd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return ThrowErrno(info.Env(), errno, "bind", path);
  }
  if (listen(socketFd.get(), backlog) != 0) {
    const int error = errno;
    unlink(path.c_str());
    return ThrowErrno(info.Env(), error, "listen", path);
  }
  return Napi::Number::New(info.Env(), socketFd.Release());
}

Napi::Value UnixAccept(const Napi::CallbackInfo& info) {
  Args args(info);
  const int listenFd = args.Fd(info[0], "listenFd");
  if (!args.ok()) return info.Env().Undefined();
  int connection;
  do {
    connection = accept4(listenFd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (connection < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (connection < 0) return ThrowErrno(info.Env(), errno, "accept4");
  return Napi::Number::New(info.Env(), connection);
}

}  // namespace

void ExportUnix(Napi::Env env, Napi::Object exports) {
  ExportVerb<SendFds>(env, exports, "sendFds");
  ExportVerb<RecvFds>(env, exports, "recvFds");
  ExportVerb<UnixListen>(env, exports, "unixListen");
  ExportVerb<UnixAccept>(env, exports, "unixAccept");
}

}  // namespace berth
