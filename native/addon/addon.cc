// Registers the verbs. Each topic has a file of its own.
#include <napi.h>

#include "verbs.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  berth::ExportVsock(env, exports);
  berth::ExportAccept(env, exports);
  berth::ExportConnect(env, exports);
  berth::ExportSpawn(env, exports);
  berth::ExportPidfd(env, exports);
  berth::ExportFds(env, exports);
  berth::ExportLog(env, exports);
  berth::ExportWatch(env, exports);
  berth::ExportUnix(env, exports);
  berth::ExportTerminal(env, exports);
  berth::ExportMachine(env, exports);
  berth::ExportNamespace(env, exports);
  berth::ExportOpenat2(env, exports);
  berth::ExportNames(env, exports);
  berth::ExportInotify(env, exports);
  berth::ExportMountTree(env, exports);
  berth::ExportProcessRoot(env, exports);
  berth::ExportStreamSocket(env, exports);
  berth::ExportKernel(env, exports);
  berth::ExportNetlink(env, exports);
  berth::ExportXfs(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(berth, Init)
