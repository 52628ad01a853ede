// A whole pod as Kata's two hosts drive it, byte for byte as they frame it (test/conformance/sequences): each on a guest of its own,
// which is off afterwards.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dial } from '../../agent/transport/dial.ts';
import { parseEndpoint } from '../../agent/transport/endpoint.ts';
import { readDump } from '../conformance/sequences/dump.ts';
import { goRuntime } from '../conformance/sequences/go-runtime.ts';
import { NIC_MAC } from '../conformance/sequences/pod.ts';
import { replay } from '../conformance/sequences/replay.ts';
import { runtimeRs } from '../conformance/sequences/runtime-rs.ts';
import { BOOT_TIMEOUT_MS, bootTestGuest } from '../support/guest.ts';
import { runInGuest } from '../support/guest-resources.ts';

const DUMPS = join(import.meta.dirname, '../conformance/sequences');
const GONE_MS = 15_000;

for (const sequence of [goRuntime, runtimeRs]) {
  it(`a pod is made, used, destroyed and its VM off as ${sequence.name} asks, byte for byte`, async function () {
    this.timeout(BOOT_TIMEOUT_MS + 120_000);
    const frames = readDump(await readFile(join(DUMPS, `${sequence.name}.hex`), 'utf8'));
    await using own = await bootTestGuest();
    // The card that the host's hypervisor would have plugged in.
    await using client = await own.connect('ttrpc');
    await runInGuest(client, ['ip', 'link', 'add', 'card', 'address', NIC_MAC, 'type', 'veth', 'peer', 'name', 'wire']);
    const socket = await dial(parseEndpoint(own.guest.address));
    try {
      await replay(socket, sequence, frames);
      const off = await Promise.race([client.closed.then(() => true), sleep(GONE_MS, false, { ref: false })]);
      assert.ok(off, `the agent is still there ${GONE_MS} ms after DestroySandbox`);
    } finally {
      socket.destroy();
    }
  });
}
