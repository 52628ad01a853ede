// Settings that Kata does not have.
import { absolutePath, contextId, strictBoolean, text } from './kinds.ts';
import { setting } from './setting.ts';

export const berthSettings = {
  allowCid: setting<number | 'any'>({
    kind: contextId,
    fallback: 2,
    param: 'berth.allow_cid',
    toml: 'berth_allow_cid',
    env: 'BERTH_ALLOW_CID',
    effect: 'The vsock peer that may speak to the agent; 2 is the host, `any` also lets guest processes in.',
  }),
  serialAddr: setting<string>({
    kind: text,
    fallback: '',
    param: 'berth.serial_addr',
    toml: 'berth_serial_addr',
    env: 'BERTH_SERIAL_ADDR',
    effect:
      'A serial port to listen on beside `agent.server_addr` (docs/transports.md): `serial://NAME` of a virtio-serial port, or `serial:///dev/ttyS1`. Where the server address is vsock and the guest has no vsock device, the port `org.berth.agent.0` takes its place; with nothing here and no such port, `/dev/ttyS1` does.',
  }),
  stateDir: setting<string>({
    kind: absolutePath,
    fallback: '/run/berth',
    param: 'berth.state_dir',
    toml: 'berth_state_dir',
    env: 'BERTH_STATE_DIR',
    effect: "Folder of the agent's own files and of crun's state.",
  }),
  bundleDir: setting<string>({
    kind: absolutePath,
    fallback: '/run/kata-containers',
    param: 'berth.bundle_dir',
    toml: 'berth_bundle_dir',
    env: 'BERTH_BUNDLE_DIR',
    effect: 'Folder of the bundles, one per container id.',
  }),
  crunPath: setting<string>({
    kind: absolutePath,
    fallback: '/usr/bin/crun',
    param: 'berth.crun',
    toml: 'berth_crun',
    env: 'BERTH_CRUN',
    effect: 'The container runtime.',
  }),
  berthPolicyFile: setting<string>({
    kind: absolutePath,
    fallback: '',
    param: 'berth.policy_file',
    toml: 'berth_policy_file',
    env: 'BERTH_POLICY_FILE',
    effect:
      'Which calls may be made (docs/policy.md): a file, or a disk such as `/dev/vdb` with the text on it. Empty: `/etc/berth/policy.toml` if it is there, else everything may.',
  }),
  specHooks: setting<boolean>({
    kind: strictBoolean,
    fallback: false,
    param: 'berth.spec_hooks',
    toml: 'berth_spec_hooks',
    env: 'BERTH_SPEC_HOOKS',
    effect:
      "Whether hooks of a container's spec may run as root in the guest, outside the container. Those of `guest_hook_path` run in any case.",
  }),
};
