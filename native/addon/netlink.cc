// The kernel's own messages on devices (man 7 netlink, NETLINK_KOBJECT_UEVENT).
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"

namespace berth {

namespace {

/// The group the kernel sends to; udev's daemon sends to the next one.
constexpr unsigned kKernelGroup = 1;
/// The kernel's buffer for one has 2 KiB (linux/kobject.h, UEVENT_BUFFER_SIZE), and the line before it two paths at most.
constexpr size_t kMaxMessage = 16 * 1024;
/// Messages of others that one call throws away before it lets the loop go on.
constexpr int kMaxDropped = 64;

Napi::Value UeventOpen(const Napi::CallbackInfo& info) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  if (!fd) return ThrowErrno(info.Env(), errno, "socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kKernelGroup;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return ThrowErrno(info.Env(), errno, "bind");
  }
  return Napi::Number::New(info.Env(), fd.Release());
}

/// Whoever may administer the network of a container that shares the guest's can send to the group too; only the kernel
/// sends from port 0.
bool FromKernel(const sockaddr_nl& sender, socklen_t length) {
  return length == sizeof sender && sender.nl_family == AF_NETLINK && sender.nl_pid == 0 && sender.nl_groups == kKernelGroup;
}

Napi::Value UeventReceive(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  for (int dropped = 0; dropped < kMaxDropped; dropped++) {
    uint8_t bytes[kMaxMessage];
    sockaddr_nl sender{};
    socklen_t length = sizeof sender;
    ssize_t received;
    do {
      received = recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC, reinterpret_cast<sockaddr*>(&sender), &length);
    } while (received < 0 && errno == EINTR);
    if (received < 0 && errno == EAGAIN) return info.Env().Undefined();
    if (received < 0) return ThrowErrno(info.Env(), errno, "recvfrom");
    if (!FromKernel(sender, length)) continue;
    if (static_cast<size_t>(received) > sizeof bytes) return ThrowErrno(info.Env(), EMSGSIZE, "recvfrom");
    return Napi::Buffer<uint8_t>::Copy(info.Env(), bytes, static_cast<size_t>(received));
  }
  return info.Env().Undefined();
}

}  // namespace

void ExportNetlink(Napi::Env env, Napi::Object exports) {
  ExportVerb<UeventOpen>(env, exports, "ueventOpen");
  ExportVerb<UeventReceive>(env, exports, "ueventReceive");
}

}  // namespace berth
