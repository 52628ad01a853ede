import assert from 'node:assert/strict';
import { proveGuestRuns } from '../../../../client/doctor/kvm-proof.ts';
import { thisSystem } from '../../../../client/doctor/system.ts';
import { findTool } from '../../../../client/vm/tools.ts';

describe('the proof that a guest runs', () => {
  it('is given by the emulator, which always can', async () => {
    assert.equal(await proveGuestRuns(thisSystem(), findTool('qemu-system-x86_64')!, 'tcg'), undefined);
  });

  it("tells QEMU's own words when it fails", async () => {
    const system = { ...thisSystem(), run: thisSystem().run };
    assert.match((await proveGuestRuns(system, '/bin/false', 'tcg')) ?? '', /QEMU ended with 1/);
    assert.match((await proveGuestRuns(system, '/no/such/qemu', 'tcg')) ?? '', /./);
  });
});
