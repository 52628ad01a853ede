// growXfs: a mounted XFS told that its device is larger (man 2 ioctl_xfs_fsgrow, man 2 ioctl_xfs_fsgeometry).
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "args.h"
#include "system_error.h"
#include "unique_fd.h"
#include "verbs.h"
#include "worker.h"

namespace berth {

namespace {

constexpr long kMagic = 0x58465342;  // XFSB

/// xfs_fsop_geom_v1 of xfs/xfs_fs.h, which the kernel's headers for programs leave out.
struct Geometry {
  uint32_t blockSize, rtExtentSize, groupBlocks, groups, logBlocks, sectorSize, inodeSize, inodeMaxPercent;
  uint64_t dataBlocks, rtBlocks, rtExtents, logStart;
  unsigned char uuid[16];
  uint32_t stripeUnit, stripeWidth;
  int32_t version;
  uint32_t flags, logSectorSize, rtSectorSize, directoryBlockSize;
};
static_assert(sizeof(Geometry) == 112);

/// xfs_growfs_data
struct Growth {
  uint64_t blocks;
  uint32_t inodeMaxPercent;
};
static_assert(sizeof(Growth) == 16);

constexpr unsigned long kGetGeometry = _IOR('X', 100, Geometry);
constexpr unsigned long kGrowData = _IOW('X', 110, Growth);

Outcome GrowXfs(const std::string& path, uint64_t bytes) {
  const UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return {errno, "open", path};
  struct statfs kind;
  if (fstatfs(root.get(), &kind) != 0) return {errno, "fstatfs", path};
  // Numbers of ioctls mean something else to another file system.
  if (static_cast<long>(kind.f_type) != kMagic) return {EOPNOTSUPP, "ioctl", path};
  Geometry geometry{};
  if (ioctl(root.get(), kGetGeometry, &geometry) != 0) return {errno, "ioctl", path};
  const uint64_t blocks = bytes / geometry.blockSize;
  if (blocks == geometry.dataBlocks) return {};
  Growth growth{blocks, geometry.inodeMaxPercent};
  if (ioctl(root.get(), kGrowData, &growth) != 0) return {errno, "ioctl", path};
  return {};
}

Napi::Value GrowXfsVerb(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string path = args.Text(info[0], "path");
  const int64_t bytes = args.BigInt64(info[1], "bytes");
  if (args.ok() && bytes < 1) args.Fail("bytes", "above 0");
  if (!args.ok()) return RejectPending(info.Env());
  return RunOnThread(info.Env(), "berth.xfs", [=]() { return GrowXfs(path, static_cast<uint64_t>(bytes)); });
}

}  // namespace

void ExportXfs(Napi::Env env, Napi::Object exports) { ExportVerb<GrowXfsVerb>(env, exports, "growXfs"); }

}  // namespace berth
