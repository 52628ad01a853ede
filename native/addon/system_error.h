// A failed system call as a Node system error: `code`, negative `errno`, `syscall`, `path`, and a message in Node's
// form ("ENOENT: No such file or directory, mount '/proc'").
#pragma once

#include <napi.h>

#include <string>

namespace berth {

Napi::Error SystemError(Napi::Env env, int error, const char* syscall, const std::string& path = {});

/// Throws it into JavaScript; the value returned lets a verb end with `return ThrowErrno(...)`.
Napi::Value ThrowErrno(Napi::Env env, int error, const char* syscall, const std::string& path = {});

/// The exception that is pending, as a rejected promise: verbs that return promises never throw.
Napi::Value RejectPending(Napi::Env env);

/// A promise rejected with a system error.
Napi::Value RejectErrno(Napi::Env env, int error, const char* syscall, const std::string& path = {});

}  // namespace berth
