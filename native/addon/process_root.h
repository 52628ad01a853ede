// Paths as a process sees them: within its root and nowhere else, whatever links lie on the way.
#pragma once

#include <cstdint>
#include <string>

#include "unique_fd.h"

namespace berth {

/// The root of the process's mount namespace; the calling thread's root becomes the same, so it needs one of its own: unshare(CLONE_FS).
/// errno tells what is wrong with -1.
UniqueFd EnterRoot(int pidfd);

/// Links count from `root`, as for a process whose root it is, and no link of /proc leads out of it (man 2 openat2).
UniqueFd OpenInRoot(int root, const std::string& path, uint64_t flags);

}  // namespace berth
