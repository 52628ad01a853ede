#include "vsock.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"

namespace berth {

sockaddr_vm VsockAddress(uint32_t cid, uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

Napi::Object VsockAddressObject(Napi::Env env, const sockaddr_vm& address) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("cid", Napi::Number::New(env, address.svm_cid));
  object.Set("port", Napi::Number::New(env, address.svm_port));
  return object;
}

namespace {

Napi::Value VsockListen(const Napi::CallbackInfo& info) {
  Args args(info);
  const uint32_t cid = args.Uint32(info[0], "cid");
  const uint32_t port = args.Uint32(info[1], "port");
  const int backlog = args.Fd(info[2], "backlog");
  if (!args.ok()) return info.Env().Undefined();

  UniqueFd socketFd(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socketFd) return ThrowErrno(info.Env(), errno, "socket");
  const sockaddr_vm address = VsockAddress(cid, port);
  if (bind(socketFd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return ThrowErrno(info.Env(), errno, "bind");
  }
  if (listen(socketFd.get(), backlog) != 0) return ThrowErrno(info.Env(), errno, "listen");
  return Napi::Number::New(info.Env(), socketFd.Release());
}

using AddressOf = int (*)(int, sockaddr*, socklen_t*);

Napi::Value NameOf(const Napi::CallbackInfo& info, AddressOf addressOf, const char* syscall) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  sockaddr_vm address{};
  socklen_t length = sizeof address;
  if (addressOf(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return ThrowErrno(info.Env(), errno, syscall);
  if (address.svm_family != AF_VSOCK) return ThrowErrno(info.Env(), EAFNOSUPPORT, syscall);
  return VsockAddressObject(info.Env(), address);
}

Napi::Value VsockPeer(const Napi::CallbackInfo& info) { return NameOf(info, getpeername, "getpeername"); }

Napi::Value VsockLocal(const Napi::CallbackInfo& info) { return NameOf(info, getsockname, "getsockname"); }

Napi::Value VsockLocalCid(const Napi::CallbackInfo& info) {
  const UniqueFd device(open("/dev/vsock", O_RDONLY | O_CLOEXEC));
  if (!device) return ThrowErrno(info.Env(), errno, "open", "/dev/vsock");
  unsigned int cid = 0;
  if (ioctl(device.get(), IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) != 0) {
    return ThrowErrno(info.Env(), errno, "ioctl", "/dev/vsock");
  }
  return Napi::Number::New(info.Env(), cid);
}

}  // namespace

void ExportVsock(Napi::Env env, Napi::Object exports) {
  ExportVerb<VsockListen>(env, exports, "vsockListen");
  ExportVerb<VsockPeer>(env, exports, "vsockPeer");
  ExportVerb<VsockLocal>(env, exports, "vsockLocal");
  ExportVerb<VsockLocalCid>(env, exports, "vsockLocalCid");
}

}  // namespace berth
