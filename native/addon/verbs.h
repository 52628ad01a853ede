// What each topic adds to the addon's exports; the shapes are those of `Native` in native/index.ts.
#pragma once

#include <napi.h>

namespace berth {

void ExportVsock(Napi::Env env, Napi::Object exports);
void ExportAccept(Napi::Env env, Napi::Object exports);
void ExportConnect(Napi::Env env, Napi::Object exports);
void ExportSpawn(Napi::Env env, Napi::Object exports);
void ExportPidfd(Napi::Env env, Napi::Object exports);
void ExportFds(Napi::Env env, Napi::Object exports);
void ExportLog(Napi::Env env, Napi::Object exports);
void ExportWatch(Napi::Env env, Napi::Object exports);
void ExportUnix(Napi::Env env, Napi::Object exports);
void ExportTerminal(Napi::Env env, Napi::Object exports);
void ExportMachine(Napi::Env env, Napi::Object exports);
void ExportNamespace(Napi::Env env, Napi::Object exports);
void ExportOpenat2(Napi::Env env, Napi::Object exports);
void ExportNames(Napi::Env env, Napi::Object exports);
void ExportInotify(Napi::Env env, Napi::Object exports);
void ExportMountTree(Napi::Env env, Napi::Object exports);
void ExportProcessRoot(Napi::Env env, Napi::Object exports);
void ExportStreamSocket(Napi::Env env, Napi::Object exports);
void ExportKernel(Napi::Env env, Napi::Object exports);
void ExportNetlink(Napi::Env env, Napi::Object exports);
void ExportXfs(Napi::Env env, Napi::Object exports);

/// Adds one verb under its JavaScript name.
template <Napi::Value (*verb)(const Napi::CallbackInfo&)>
void ExportVerb(Napi::Env env, Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<verb>(env, name));
}

}  // namespace berth
