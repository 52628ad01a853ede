// Not part of the addon: a second one, built only beside the sanitized variant and with its flags, that makes the kinds of
// error the sanitizers are there for. A test shows that they see each.
#include <napi.h>

#include <limits>
#include <memory>

namespace {

/// Reads one byte past the end of a heap block: AddressSanitizer's part.
Napi::Value Overread(const Napi::CallbackInfo& info) {
  constexpr size_t kSize = 16;
  const auto block = std::make_unique<unsigned char[]>(kSize);
  const volatile unsigned char* bytes = block.get();
  return Napi::Number::New(info.Env(), bytes[kSize]);
}

/// Overflows a signed integer: UndefinedBehaviorSanitizer's part.
Napi::Value Overflow(const Napi::CallbackInfo& info) {
  volatile int number = std::numeric_limits<int>::max();
  return Napi::Number::New(info.Env(), number + 1);
}

/// Drops the only pointer to a heap block: LeakSanitizer's part.
Napi::Value Leak(const Napi::CallbackInfo& info) {
  volatile char* block = new char[64];
  block[0] = 1;
  return Napi::Number::New(info.Env(), block[0]);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("overread", Napi::Function::New<Overread>(env, "overread"));
  exports.Set("overflow", Napi::Function::New<Overflow>(env, "overflow"));
  exports.Set("leak", Napi::Function::New<Leak>(env, "leak"));
  return exports;
}

}  // namespace

NODE_API_MODULE(canary, Init)
