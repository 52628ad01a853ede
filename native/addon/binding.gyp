# Built by scripts/build-native.ts, which says where node-addon-api is and whether to sanitize.
{
  "variables": { "addon_api%": "../../node_modules/node-addon-api", "root%": ".", "sanitize%": 0 },
  "target_defaults": {
    # SWALLOW_UNTHROWABLE: a worker that is being terminated can't take an exception, and must not take the process down for it.
    "defines": [
      "NAPI_VERSION=9",
      "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED",
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      "_GNU_SOURCE"
    ],
    "cflags": [
      "-isystem<(addon_api)", "-fvisibility=hidden", "-ffile-prefix-map=<(root)=.",
      "-Wall", "-Wextra", "-Wpedantic", "-Werror"
    ],
    "cflags!": ["-Wno-unused-parameter"],
    "cflags_cc": ["-std=c++17", "-fno-exceptions"],
    "cflags_cc!": ["-std=gnu++20", "-std=gnu++17"],
    # nodelete: a thread whose mount hangs may outlive the worker that loaded the addon.
    "ldflags": ["-Wl,-z,relro,-z,now,-z,nodelete", "-Wl,--exclude-libs,ALL"]
  },
  "targets": [
    {
      "target_name": "berth",
      "sources": [
        "accept.cc", "addon.cc", "args.cc", "connect.cc", "fds.cc", "inotify.cc", "kernel.cc", "log.cc", "machine.cc", "mount_tree.cc",
        "names.cc", "namespace.cc", "netlink.cc", "openat2.cc", "pidfd.cc", "process_root.cc", "spawn.cc", "stream_socket.cc",
        "system_error.cc", "terminal.cc", "unix.cc", "vsock.cc", "watch.cc", "watcher.cc", "worker.cc", "xfs.cc"
      ],
      "conditions": [["sanitize==0", { "ldflags": ["-static-libstdc++", "-static-libgcc"] }]]
    }
  ],
  "conditions": [
    [
      "sanitize==1",
      {
        "target_defaults": {
          "cflags": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1"],
          "cflags!": ["-O3"],
          "ldflags": ["-fsanitize=address,undefined"]
        },
        "targets": [{ "target_name": "canary", "sources": ["canary.cc"] }]
      }
    ]
  ]
}
