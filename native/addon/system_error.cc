#include "system_error.h"

#include <cstring>

#include "deferred.h"

namespace berth {

Napi::Error SystemError(Napi::Env env, int error, const char* syscall, const std::string& path) {
  const char* known = strerrorname_np(error);
  const std::string code = known != nullptr ? known : "E" + std::to_string(error);
  const char* text = strerrordesc_np(error);
  std::string message = code + ": " + (text != nullptr ? text : "unknown error") + ", " + syscall;
  if (!path.empty()) message += " '" + path + "'";

  Napi::Error result = Napi::Error::New(env, message);
  Napi::Object fields = result.Value();
  fields.Set("errno", Napi::Number::New(env, -error));
  fields.Set("code", Napi::String::New(env, code));
  fields.Set("syscall", Napi::String::New(env, syscall));
  if (!path.empty()) fields.Set("path", Napi::String::New(env, path));
  return result;
}

Napi::Value ThrowErrno(Napi::Env env, int error, const char* syscall, const std::string& path) {
  SystemError(env, error, syscall, path).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value RejectPending(Napi::Env env) {
  // Taken first: with an exception pending no promise can be made.
  const Napi::Error error = env.GetAndClearPendingException();
  Deferred deferred(env);
  deferred.Reject(error.Value());
  return deferred.promise();
}

Napi::Value RejectErrno(Napi::Env env, int error, const char* syscall, const std::string& path) {
  Deferred deferred(env);
  deferred.Reject(SystemError(env, error, syscall, path).Value());
  return deferred.promise();
}

}  // namespace berth
