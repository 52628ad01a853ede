import assert from 'node:assert/strict';
import { hasCode } from '../../../agent/errors.ts';
import { CLIENT_LIMITS, Clients, SESSION_GRACE_MS } from '../../../agent/sandbox/clients.ts';
import { EventLog } from '../../../agent/sandbox/event-log.ts';
import { SimulatedClock } from '../../support/simulated-clock.ts';

const connection = (id: string) => ({ id, protocol: 'grpc', peer: 'vsock:2:1' });
const said = (session = '') => ({ name: 'shim', version: '1', session });

describe('the clients of the agent', () => {
  let clock: SimulatedClock;
  let events: EventLog;
  let clients: Clients;

  beforeEach(() => {
    clock = new SimulatedClock();
    events = new EventLog();
    clients = new Clients(events, clock);
  });

  it('are one for each connection until they say otherwise', () => {
    assert.equal(clients.of(connection('c1')), clients.of(connection('c1')));
    assert.notEqual(clients.of(connection('c1')), clients.of(connection('c2')));
  });

  it('are gone with their connection when they have no session', () => {
    let gone = 0;
    clients.onGone(clients.of(connection('c1')), () => gone++);
    clients.disconnected('c1');
    assert.equal(gone, 1);
  });

  it('are the same on a later connection that shows the session, with what they own', () => {
    let gone = 0;
    const client = clients.hello(connection('c1'), said(), 'secret');
    clients.onGone(client, () => gone++);
    clients.disconnected('c1');
    clock.advance(SESSION_GRACE_MS - 1);
    assert.equal(clients.hello(connection('c2'), said('secret'), 'other'), client);
    clock.advance(SESSION_GRACE_MS * 2);
    assert.equal(gone, 0);
    assert.deepEqual([client.id, client.session], ['c2', 'secret']);
  });

  it('are gone when nobody shows the session in time', () => {
    let gone = 0;
    const client = clients.hello(connection('c1'), said(), 'secret');
    clients.onGone(client, () => gone++);
    clients.disconnected('c1');
    clock.advance(SESSION_GRACE_MS);
    assert.equal(gone, 1);
    assert.throws(
      () => clients.hello(connection('c2'), said('secret'), 'x'),
      (error) => hasCode(error, 'not_found'),
    );
  });

  it('stay while one of several connections is left', () => {
    let gone = 0;
    const client = clients.hello(connection('c1'), said(), 'secret');
    clients.onGone(client, () => gone++);
    clients.hello(connection('c2'), said('secret'), 'x');
    clients.disconnected('c1');
    clock.advance(SESSION_GRACE_MS * 2);
    assert.equal(gone, 0);
  });

  it('say hello once, and not after they own something', () => {
    clients.hello(connection('c1'), said(), 'secret');
    assert.throws(
      () => clients.hello(connection('c1'), said(), 'x'),
      (error) => hasCode(error, 'failed_precondition'),
    );
    clients.onGone(clients.of(connection('c2')), () => {});
    assert.throws(
      () => clients.hello(connection('c2'), said('secret'), 'x'),
      (error) => hasCode(error, 'failed_precondition'),
    );
  });

  it('are told of in the event log as they come and go', async () => {
    clients.hello(connection('c1'), said(), '');
    clients.disconnected('c1');
    const kinds = (
      await Array.fromAsync(events.read({ from: 'start', replayOnly: true, signal: new AbortController().signal }))
    ).map(({ kind }) => kind);
    assert.deepEqual(kinds, ['client.connected', 'client.disconnected']);
  });

  it('are refused over a limit, which is named, and let in again when something of it is given back', () => {
    const client = clients.of(connection('c1'));
    const taken = Array.from({ length: CLIENT_LIMITS.streams }, () => client.take('streams'));
    assert.throws(
      () => client.take('streams'),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'streams',
    );
    taken[0]!();
    taken[0]!();
    client.take('streams');
    assert.throws(
      () => client.take('streams'),
      (error) => hasCode(error, 'resource_exhausted'),
    );
  });

  it('have limits of their own', () => {
    const [first, second] = [clients.of(connection('c1')), clients.of(connection('c2'))];
    for (let i = 0; i < CLIENT_LIMITS.streams; i++) first.take('streams');
    assert.doesNotThrow(() => second.take('streams'));
  });

  it('may make a second worth of calls at once and then as many as time allows', () => {
    const client = clients.of(connection('c1'));
    for (let i = 0; i < CLIENT_LIMITS.callsPerSecond; i++) client.call();
    assert.throws(
      () => client.call(),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 'calls-per-second',
    );
    clock.advance(100);
    for (let i = 0; i < CLIENT_LIMITS.callsPerSecond / 10; i++) client.call();
    assert.throws(
      () => client.call(),
      (error) => hasCode(error, 'resource_exhausted'),
    );
  });
});
