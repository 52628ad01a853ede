#include "args.h"

#include <cmath>

namespace berth {

void Args::Fail(const std::string& name, const std::string& expected) {
  if (!ok_) return;
  ok_ = false;
  if (env_.IsExceptionPending()) return;
  Napi::TypeError error = Napi::TypeError::New(env_, "The \"" + name + "\" argument must be " + expected);
  error.Value().Set("code", Napi::String::New(env_, "ERR_INVALID_ARG_VALUE"));
  error.ThrowAsJavaScriptException();
}

int64_t Args::Integer(Napi::Value value, const std::string& name, int64_t min, int64_t max) {
  if (!ok_) return min;
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (std::trunc(number) == number && number >= static_cast<double>(min) && number <= static_cast<double>(max)) {
      return static_cast<int64_t>(number);
    }
  }
  Fail(name, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
  return min;
}

int Args::Fd(Napi::Value value, const std::string& name) {
  return static_cast<int>(Integer(value, name, 0, std::numeric_limits<int>::max()));
}

int Args::Int32(Napi::Value value, const std::string& name) {
  return static_cast<int>(Integer(value, name, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

uint32_t Args::Uint32(Napi::Value value, const std::string& name) {
  return static_cast<uint32_t>(Integer(value, name, 0, std::numeric_limits<uint32_t>::max()));
}

int64_t Args::BigInt64(Napi::Value value, const std::string& name) {
  if (!ok_) return 0;
  if (value.IsBigInt()) {
    bool lossless = false;
    const int64_t number = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (lossless) return number;
  }
  Fail(name, "a bigint of at most 64 bits");
  return 0;
}

std::string Args::TextOrEmpty(Napi::Value value, const std::string& name) {
  if (!ok_) return {};
  if (value.IsString()) {
    std::string text = value.As<Napi::String>().Utf8Value();
    if (text.find('\0') == std::string::npos) return text;
  }
  Fail(name, "a string without null bytes");
  return {};
}

std::string Args::Text(Napi::Value value, const std::string& name) {
  std::string text = TextOrEmpty(value, name);
  if (ok_ && text.empty()) Fail(name, "a non-empty string");
  return text;
}

bool Args::ArrayLength(Napi::Value value, const std::string& name, uint32_t maxLength, uint32_t* length) {
  if (!ok_) return false;
  if (value.IsArray()) {
    *length = value.As<Napi::Array>().Length();
    if (*length <= maxLength) return true;
  }
  Fail(name, "an array of at most " + std::to_string(maxLength) + " elements");
  return false;
}

Napi::Value Args::Element(Napi::Value array, uint32_t at) {
  Napi::Value element = array.As<Napi::Array>().Get(at);
  if (env_.IsExceptionPending()) ok_ = false;
  return element;
}

std::vector<std::string> Args::Texts(Napi::Value value, const std::string& name, uint32_t maxLength) {
  uint32_t length = 0;
  if (!ArrayLength(value, name, maxLength, &length)) return {};
  std::vector<std::string> texts;
  texts.reserve(length);
  for (uint32_t i = 0; ok_ && i < length; i++) {
    Napi::HandleScope scope(env_);
    const Napi::Value element = Element(value, i);
    texts.push_back(TextOrEmpty(element, name + "[" + std::to_string(i) + "]"));
  }
  return texts;
}

std::vector<int> Args::Ints(Napi::Value value, const std::string& name, int min, uint32_t maxLength) {
  uint32_t length = 0;
  if (!ArrayLength(value, name, maxLength, &length)) return {};
  std::vector<int> numbers;
  numbers.reserve(length);
  for (uint32_t i = 0; ok_ && i < length; i++) {
    const Napi::Value element = Element(value, i);
    const std::string elementName = name + "[" + std::to_string(i) + "]";
    numbers.push_back(static_cast<int>(Integer(element, elementName, min, std::numeric_limits<int>::max())));
  }
  return numbers;
}

bool Args::BooleanOrFalse(Napi::Value value, const std::string& name) {
  if (!ok_ || value.IsUndefined()) return false;
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  Fail(name, "a boolean");
  return false;
}

Napi::Function Args::Callback(Napi::Value value, const std::string& name) {
  if (ok_ && !value.IsFunction()) Fail(name, "a function");
  return ok_ ? value.As<Napi::Function>() : Napi::Function();
}

Napi::Uint8Array Args::Bytes(Napi::Value value, const std::string& name) {
  if (ok_ && value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    return value.As<Napi::Uint8Array>();
  }
  Fail(name, "a Uint8Array");
  return {};
}

Napi::Object Args::Object(Napi::Value value, const std::string& name) {
  if (ok_ && !value.IsObject()) Fail(name, "an object");
  return ok_ ? value.As<Napi::Object>() : Napi::Object();
}

Napi::Value Args::Field(Napi::Object object, const char* name) {
  if (!ok_) return env_.Undefined();
  Napi::Value value = object.Get(name);
  if (env_.IsExceptionPending()) ok_ = false;
  return value;
}

}  // namespace berth
