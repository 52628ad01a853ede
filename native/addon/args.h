// Reads what JavaScript passed. A value of the wrong kind leaves one pending TypeError that names the argument;
// after it every read returns a harmless default, so that a verb reads all its arguments and then asks `ok()` once.
#pragma once

#include <napi.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace berth {

class Args {
 public:
  explicit Args(const Napi::CallbackInfo& info) : env_(info.Env()) {}

  bool ok() const { return ok_; }

  int64_t Integer(Napi::Value value, const std::string& name, int64_t min, int64_t max);
  /// 0 to 2^31-1.
  int Fd(Napi::Value value, const std::string& name);
  int Int32(Napi::Value value, const std::string& name);
  uint32_t Uint32(Napi::Value value, const std::string& name);
  int64_t BigInt64(Napi::Value value, const std::string& name);
  /// UTF-8 without a null byte; refused when empty, except by TextOrEmpty.
  std::string Text(Napi::Value value, const std::string& name);
  std::string TextOrEmpty(Napi::Value value, const std::string& name);
  std::vector<std::string> Texts(Napi::Value value, const std::string& name, uint32_t maxLength);
  /// Integers of at least `min`.
  std::vector<int> Ints(Napi::Value value, const std::string& name, int min, uint32_t maxLength);
  bool BooleanOrFalse(Napi::Value value, const std::string& name);
  Napi::Function Callback(Napi::Value value, const std::string& name);
  /// The bytes of a Uint8Array, valid until control returns to JavaScript.
  Napi::Uint8Array Bytes(Napi::Value value, const std::string& name);
  Napi::Object Object(Napi::Value value, const std::string& name);
  /// A property; a getter that throws counts as a failure.
  Napi::Value Field(Napi::Object object, const char* name);

  /// Leaves `message` as the pending TypeError, unless there is an error already.
  void Fail(const std::string& name, const std::string& expected);

 private:
  bool ArrayLength(Napi::Value value, const std::string& name, uint32_t maxLength, uint32_t* length);
  Napi::Value Element(Napi::Value array, uint32_t at);

  Napi::Env env_;
  bool ok_ = true;
};

}  // namespace berth
