// pidfds, for those who make processes (spawn.cc) and those who watch them (pidfd.cc).
#pragma once

#include <sys/types.h>

namespace berth {

/// pidfd_open(2); close-on-exec by itself. -1 and errno on failure.
int OpenPidfd(pid_t pid);

}  // namespace berth
