// What the kernel is given: entropy, swap space.
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

constexpr size_t kMaxEntropy = 64 * 1024;

/// rand_pool_info of linux/random.h, which ends in an array without a length.
struct Pool {
  int entropyBits;
  int bytes;
  unsigned char data[kMaxEntropy];
};
static_assert(offsetof(Pool, data) == sizeof(rand_pool_info));

Outcome AddEntropy(const std::vector<unsigned char>& data) {
  const UniqueFd random(open("/dev/random", O_WRONLY | O_CLOEXEC));
  if (!random) return {errno, "open", "/dev/random"};
  Pool pool{};
  pool.bytes = static_cast<int>(data.size());
  pool.entropyBits = pool.bytes * 8;
  std::copy(data.begin(), data.end(), pool.data);
  int error = 0;
  if (ioctl(random.get(), RNDADDENTROPY, &pool) != 0 || ioctl(random.get(), RNDRESEEDCRNG, nullptr) != 0) error = errno;
  explicit_bzero(pool.data, data.size());
  return {error, "ioctl", "/dev/random"};
}

Napi::Value AddEntropyVerb(const Napi::CallbackInfo& info) {
  Args args(info);
  const Napi::Uint8Array bytes = args.Bytes(info[0], "data");
  if (args.ok() && (bytes.ByteLength() == 0 || bytes.ByteLength() > kMaxEntropy)) args.Fail("data", "1 to 65536 bytes");
  if (!args.ok()) return RejectPending(info.Env());
  const std::vector<unsigned char> data(bytes.Data(), bytes.Data() + bytes.ByteLength());
  return RunOnThread(info.Env(), "berth.entropy", [=]() { return AddEntropy(data); });
}

Napi::Value SwapOn(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string path = args.Text(info[0], "path");
  const uint32_t flags = args.Uint32(info[1], "flags");
  if (!args.ok()) return RejectPending(info.Env());
  return RunOnThread(info.Env(), "berth.swap", [=]() -> Outcome {
    if (swapon(path.c_str(), static_cast<int>(flags)) == 0) return {};
    return {errno, "swapon", path};
  });
}

}  // namespace

void ExportKernel(Napi::Env env, Napi::Object exports) {
  ExportVerb<AddEntropyVerb>(env, exports, "addEntropy");
  ExportVerb<SwapOn>(env, exports, "swapOn");
}

}  // namespace berth
