import assert from 'node:assert/strict';
import { berthService } from '../../../../agent/api/berth/method.ts';
import { hasCode } from '../../../../agent/errors.ts';
import type { CallContext } from '../../../../agent/rpc/service.ts';
import { CLIENT_LIMITS, Clients } from '../../../../agent/sandbox/clients.ts';
import { EventLog } from '../../../../agent/sandbox/event-log.ts';
import { SimulatedClock } from '../../../support/simulated-clock.ts';

const raw = { encode: (message: Uint8Array) => ({ finish: () => message }), decode: (bytes: Uint8Array) => bytes };

describe("a method of Berth's own API", () => {
  it('is refused to a client that calls too often, by the name of the limit, and to nobody else', () => {
    const clock = new SimulatedClock();
    const method = berthService('Test', new Clients(new EventLog(), clock)).unary('Echo', raw, raw, (bytes) => bytes);
    const call = (id: string) => method.handle(Buffer.from('x'), { caller: { id, protocol: 'ttrpc', peer: '' } } as CallContext);
    for (let calls = 0; calls < CLIENT_LIMITS.callsPerSecond; calls++) call('c1');
    assert.throws(
      () => call('c1'),
      (error) => hasCode(error, 'resource_exhausted') && /limit of 20000 calls-per-second/.test(String(error)),
    );
    call('c2');
  });
});
