// A directory that is shared with the guest, and a watchable-bind storage of it: for each test of the suite that calls for one.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Detach, StorageHost } from '../../../../../agent/container/storage/storage.ts';
import { watchableBind } from '../../../../../agent/container/storage/watchable-bind.ts';
import { type RecordingDoor, recordingDoor } from '../recording-door.ts';

export const POLL_MS = 20;

export class SharedDirectory {
  root!: string;
  source!: string;
  target!: string;
  door!: RecordingDoor;
  warnings: string[] = [];
  readonly #attached: Detach[] = [];

  constructor() {
    beforeEach(async () => {
      this.root = await mkdtemp(join(tmpdir(), 'berth-watch-'));
      this.source = join(this.root, 'share/config');
      this.target = join(this.root, 'share/watchable/config');
      this.door = recordingDoor();
      this.warnings = [];
      await mkdir(this.source, { recursive: true });
    });
    afterEach(async () => {
      for (const detach of this.#attached.splice(0)) await detach();
      await rm(this.root, { recursive: true });
    });
  }

  async attach(from = this.source, options: string[] = []): Promise<Detach> {
    const log = { debug: () => {}, warn: (message: string) => this.warnings.push(message) };
    const host = { door: this.door, bundleDir: this.root, watchPollMs: POLL_MS, log } as unknown as StorageHost;
    const storage = {
      driver: 'watchable-bind',
      driverOptions: [],
      source: from,
      fstype: 'bind',
      options,
      mountPoint: this.target,
      shared: false,
    };
    const detach = await watchableBind.attach(storage, host, 'c');
    this.#attached.push(detach);
    return detach;
  }

  /** A file as the container has it. */
  seen(name: string): Promise<string> {
    return readFile(join(this.target, name), 'utf8');
  }
}

export async function eventually(check: () => Promise<unknown>): Promise<void> {
  for (const end = Date.now() + 5_000; ; await sleep(5)) {
    try {
      assert.ok(await check());
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
