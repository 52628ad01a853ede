// Stands in for the addon's mount and umount: records what was asked for, with the descriptors in the paths resolved.
import { readlink } from 'node:fs/promises';
import type { StorageDoor } from '../../../../agent/container/storage/storage.ts';

export interface RecordingDoor extends StorageDoor {
  /** `mount SOURCE TARGET FSTYPE FLAGS DATA` or `umount TARGET`, in order. */
  readonly calls: string[];
  /** Errno of every call that this matches. */
  fail: { match: RegExp; code: string } | undefined;
  /** Awaited inside each call. */
  delay: (() => Promise<void>) | undefined;
}

export function recordingDoor(): RecordingDoor {
  const door: RecordingDoor = {
    calls: [],
    fail: undefined,
    delay: undefined,
    mount: async (source, target, fstype, flags, data) => {
      const options = (await Promise.all(data.split(/(?<=[=:])|(?=[,:])/).map(resolve))).join('');
      await record(`mount ${await resolve(source)} ${await resolve(target)} ${fstype} ${flags} ${options}`.trim());
    },
    umount: async (target) => {
      await record(`umount ${await resolve(target)}`);
    },
  };
  async function record(call: string): Promise<void> {
    door.calls.push(call);
    await door.delay?.();
    if (door.fail?.match.test(call)) throw Object.assign(new Error(`${door.fail.code}: ${call}`), { code: door.fail.code });
  }
  return door;
}

async function resolve(path: string): Promise<string> {
  const [, descriptor, rest] = /^(\/proc\/self\/fd\/\d+)(.*)$/.exec(path) ?? [undefined, undefined, path];
  return descriptor === undefined ? path : `${await readlink(descriptor)}${rest}`;
}
