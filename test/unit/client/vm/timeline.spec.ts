import assert from 'node:assert/strict';
import { isListening, type ListeningRecord, timelineOf } from '../../../../client/vm/timeline.ts';

describe('the boot timeline', () => {
  const record: ListeningRecord = {
    msg: 'agent listening',
    address: 'vsock://-1:1024',
    uptime_ms: '2000',
    init_uptime_ms: '1500',
  };

  it("places the guest's clock on the host's by the moment its line was read", () => {
    assert.deepEqual(timelineOf(100, { record, seenMs: 3000 }), {
      qemuStartMs: 100,
      kernelMs: 1000,
      initMs: 2500,
      listeningMs: 3000,
    });
  });

  it('never goes backwards when the guest says it is older than its QEMU', () => {
    const { qemuStartMs, kernelMs, initMs, listeningMs } = timelineOf(100, {
      record: { ...record, uptime_ms: 9000 },
      seenMs: 3000,
    });
    assert.deepEqual([qemuStartMs, kernelMs, initMs, listeningMs], [100, 100, 1600, 3000]);
  });

  it('leaves out what was not reached or not told', () => {
    assert.deepEqual(timelineOf(100), { qemuStartMs: 100 });
    assert.equal('initMs' in timelineOf(100, { record: { ...record, init_uptime_ms: undefined }, seenMs: 3000 }), false);
  });

  it('is told by the agent alone, with a figure', () => {
    assert.ok(isListening({ ...record }));
    for (const other of [
      { msg: 'agent listening' },
      { msg: 'other', uptime_ms: '1' },
      { msg: 'agent listening', uptime_ms: 'soon' },
    ]) {
      assert.equal(isListening(other), false);
    }
  });
});
