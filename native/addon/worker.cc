#include "worker.h"

#include <utility>

#include "deferred.h"
#include "system_error.h"

namespace berth {

namespace {

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, const char* resource, std::function<Outcome()> work)
      : Napi::AsyncWorker(env, resource), work_(std::move(work)), deferred_(env) {}

  Napi::Value promise() const { return deferred_.promise(); }

 protected:
  void Execute() override { outcome_ = work_(); }

  void OnOK() override {
    if (outcome_.error == 0) {
      deferred_.Resolve(Env().Undefined());
    } else {
      deferred_.Reject(SystemError(Env(), outcome_.error, outcome_.syscall, outcome_.path).Value());
    }
  }

 private:
  std::function<Outcome()> work_;
  Outcome outcome_;
  Deferred deferred_;
};

}  // namespace

Napi::Value RunOnWorker(Napi::Env env, const char* resource, std::function<Outcome()> work) {
  auto* worker = new Worker(env, resource, std::move(work));  // deletes itself after OnOK
  Napi::Value promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace berth
