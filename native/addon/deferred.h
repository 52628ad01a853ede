// A promise to settle later. Unlike Napi::Promise::Deferred it stays empty, instead of undefined in the C++ sense, when
// no promise can be made: a worker that is being terminated may still be inside a verb.
#pragma once

#include <napi.h>

namespace berth {

class Deferred {
 public:
  explicit Deferred(Napi::Env env) : env_(env) {
    napi_create_promise(env_, &deferred_, &promise_);
  }

  /// Only within the call that made it.
  Napi::Value promise() const { return {env_, promise_}; }
  void Resolve(napi_value value) { Settle(napi_resolve_deferred, value); }
  void Reject(napi_value reason) { Settle(napi_reject_deferred, reason); }

 private:
  void Settle(napi_status (*settle)(napi_env, napi_deferred, napi_value), napi_value value) {
    if (deferred_ != nullptr) settle(env_, deferred_, value);
    deferred_ = nullptr;
  }

  Napi::Env env_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
};

}  // namespace berth
