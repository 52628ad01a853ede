// What stream logs are made of: memory files whose position the kernel keeps, and bytes moved into and out of them without
// passing through the process, so that a byte is at every moment in exactly one place (man 2 splice, sendfile, fallocate).
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "args.h"
#include "system_error.h"
#include "verbs.h"

namespace berth {

namespace {

constexpr int64_t kMaxMove = 1 << 20;

// linux/memfd.h since 6.3, younger than some C libraries.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/// Bytes moved; -1 when it would block, which on this path is no exception.
Napi::Value Moved(Napi::Env env, ssize_t moved, const char* syscall) {
  if (moved < 0 && errno != EAGAIN) return ThrowErrno(env, errno, syscall);
  return Napi::Number::New(env, static_cast<double>(moved));
}

Napi::Value MemfdCreate(const Napi::CallbackInfo& info) {
  Args args(info);
  const std::string name = args.Text(info[0], "name");
  if (!args.ok()) return info.Env().Undefined();
  const int fd = memfd_create(name.c_str(), MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  if (fd < 0) return ThrowErrno(info.Env(), errno, "memfd_create");
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value Rewind(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  if (lseek(fd, 0, SEEK_SET) < 0) return ThrowErrno(info.Env(), errno, "lseek");
  return info.Env().Undefined();
}

Napi::Value Splice(const Napi::CallbackInfo& info) {
  Args args(info);
  const int from = args.Fd(info[0], "from");
  const int to = args.Fd(info[1], "to");
  const auto max = static_cast<size_t>(args.Integer(info[2], "maxBytes", 1, kMaxMove));
  if (!args.ok()) return info.Env().Undefined();
  ssize_t moved;
  do {
    moved = splice(from, nullptr, to, nullptr, max, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  } while (moved < 0 && errno == EINTR);
  return Moved(info.Env(), moved, "splice");
}

Napi::Value SendFile(const Napi::CallbackInfo& info) {
  Args args(info);
  const int to = args.Fd(info[0], "to");
  const int file = args.Fd(info[1], "file");
  const auto max = static_cast<size_t>(args.Integer(info[2], "maxBytes", 1, kMaxMove));
  if (!args.ok()) return info.Env().Undefined();
  ssize_t moved;
  do {
    moved = sendfile(to, file, nullptr, max);
  } while (moved < 0 && errno == EINTR);
  return Moved(info.Env(), moved, "sendfile");
}

Napi::Value ReadAt(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  Napi::Uint8Array buffer = args.Bytes(info[1], "buffer");
  const int64_t offset = args.BigInt64(info[2], "offset");
  if (!args.ok()) return info.Env().Undefined();
  ssize_t got;
  do {
    got = pread(fd, buffer.Data(), buffer.ByteLength(), offset);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return ThrowErrno(info.Env(), errno, "pread");
  return Napi::Number::New(info.Env(), static_cast<double>(got));
}

Napi::Value WriteAt(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const Napi::Uint8Array data = args.Bytes(info[1], "data");
  const int64_t offset = args.BigInt64(info[2], "offset");
  if (!args.ok()) return info.Env().Undefined();
  ssize_t put;
  do {
    put = pwrite(fd, data.Data(), data.ByteLength(), offset);
  } while (put < 0 && errno == EINTR);
  if (put < 0) return ThrowErrno(info.Env(), errno, "pwrite");
  return Napi::Number::New(info.Env(), static_cast<double>(put));
}

Napi::Value PunchHole(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  const int64_t from = args.BigInt64(info[1], "from");
  const int64_t to = args.BigInt64(info[2], "to");
  if (args.ok() && (from < 0 || to <= from)) args.Fail("to", "above from, which is not negative");
  if (!args.ok()) return info.Env().Undefined();
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from) != 0) {
    return ThrowErrno(info.Env(), errno, "fallocate");
  }
  return info.Env().Undefined();
}

Napi::Value IsReadable(const Napi::CallbackInfo& info) {
  Args args(info);
  pollfd polled{args.Fd(info[0], "fd"), POLLIN, 0};
  if (!args.ok()) return info.Env().Undefined();
  int ready;
  do {
    ready = poll(&polled, 1, 0);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return ThrowErrno(info.Env(), errno, "poll");
  if ((polled.revents & POLLNVAL) != 0) return ThrowErrno(info.Env(), EBADF, "poll");
  return Napi::Boolean::New(info.Env(), ready > 0);
}

Napi::Value FilePosition(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  const off_t position = lseek(fd, 0, SEEK_CUR);
  if (position < 0) return ThrowErrno(info.Env(), errno, "lseek");
  return Napi::BigInt::New(info.Env(), static_cast<int64_t>(position));
}

Napi::Value FileSize(const Napi::CallbackInfo& info) {
  Args args(info);
  const int fd = args.Fd(info[0], "fd");
  if (!args.ok()) return info.Env().Undefined();
  struct stat status {};
  if (fstat(fd, &status) != 0) return ThrowErrno(info.Env(), errno, "fstat");
  return Napi::BigInt::New(info.Env(), static_cast<int64_t>(status.st_size));
}

}  // namespace

void ExportLog(Napi::Env env, Napi::Object exports) {
  ExportVerb<MemfdCreate>(env, exports, "memfdCreate");
  ExportVerb<Rewind>(env, exports, "rewind");
  ExportVerb<Splice>(env, exports, "splice");
  ExportVerb<SendFile>(env, exports, "sendFile");
  ExportVerb<ReadAt>(env, exports, "readAt");
  ExportVerb<WriteAt>(env, exports, "writeAt");
  ExportVerb<PunchHole>(env, exports, "punchHole");
  ExportVerb<IsReadable>(env, exports, "isReadable");
  ExportVerb<FilePosition>(env, exports, "filePosition");
  ExportVerb<FileSize>(env, exports, "fileSize");
}

}  // namespace berth
