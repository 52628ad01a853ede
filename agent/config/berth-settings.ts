// Settings that Kata does not have.
import { absolutePath, contextId } from './kinds.ts';
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
};
