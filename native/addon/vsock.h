// AF_VSOCK addresses (man 7 vsock).
#pragma once

#include <napi.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

namespace berth {

sockaddr_vm VsockAddress(uint32_t cid, uint32_t port);
/// `{cid, port}`
Napi::Object VsockAddressObject(Napi::Env env, const sockaddr_vm& address);

}  // namespace berth
