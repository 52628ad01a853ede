// Volume statistics as CSI counts them, and the codes of what a host may get wrong.
import assert from 'node:assert/strict';
import { grpc } from '#proto/kata.js';
import { volumeMethods } from '../../../../agent/api/kata/volumes.ts';
import { VolumeStatsReader } from '../../../../agent/container/storage/volume-stats.ts';
import { AgentError, hasCode } from '../../../../agent/errors.ts';
import type { GuestHost } from '../../../../agent/sandbox/guest-host.ts';
import { callMethod } from './call-method.ts';

describe("Kata's calls on volumes", () => {
  const sandbox = {
    container: (id: string): never => {
      throw new AgentError('not_found', `container \`${id}\` not found`, { fields: { missing: 'container' } });
    },
  };
  const use = { total: 2n ** 60n + 1n, available: 1n, used: 2n ** 60n };
  const volumes = new VolumeStatsReader({
    read: async (path) => {
      if (path !== '/v') throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
      return { bytes: use, inodes: { total: 3n, available: 1n, used: 2n } };
    },
  });
  const call = (name: string, request: Uint8Array) => callMethod(volumeMethods({ volumes } as GuestHost, sandbox), name, request);

  it('give usage in bytes and in inodes, exactly, and a good condition', async () => {
    const bytes = await call('GetVolumeStats', grpc.VolumeStatsRequest.encode({ volumeGuestPath: '/v' }).finish());
    const { usage, volumeCondition } = grpc.VolumeStatsResponse.decode(bytes);
    assert.deepEqual(
      usage.map(({ unit, total, available, used }) => [unit, total, available, used]),
      [
        [1, use.total, 1n, use.used],
        [2, 3n, 1n, 2n],
      ],
    );
    assert.deepEqual([volumeCondition?.abnormal ?? false, volumeCondition?.message], [false, 'OK']);
  });

  for (const [name, request, code, text] of [
    ['GetVolumeStats', grpc.VolumeStatsRequest.encode({ volumeGuestPath: '/none' }).finish(), 'internal', 'ENOENT'],
    ['GetVolumeStats', new Uint8Array(), 'invalid_argument', 'volume_guest_path'],
    ['ResizeVolume', grpc.ResizeVolumeRequest.encode({ volumeGuestPath: '/v' }).finish(), 'invalid_argument', 'size'],
    ['GetDiagnosticData', new Uint8Array(), 'invalid_argument', 'unsupported diagnostic log_type: '],
    [
      'GetDiagnosticData',
      grpc.GetDiagnosticDataRequest.encode({ logType: 'core', containerId: 'c1' }).finish(),
      'invalid_argument',
      'unsupported diagnostic log_type: core',
    ],
    [
      'GetDiagnosticData',
      grpc.GetDiagnosticDataRequest.encode({ logType: 'termination_log', containerId: 'c1' }).finish(),
      'internal',
      'Invalid container id',
    ],
  ] as const) {
    it(`answer ${name} with ${code} and "${text}"`, async () => {
      await assert.rejects(call(name, request), (error) => hasCode(error, code) && error.message.includes(text));
    });
  }
});
