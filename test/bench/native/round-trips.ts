// The client's half of the native round trips, a program of its own so that it can be pinned to the CPU of the server.
// Arguments: `echo`, `ttrpc` or `grpc`; the server's socket; how many. Prints the milliseconds of each as JSON.

import { dial } from '../../../agent/transport/dial.ts';
import { kataClient } from '../../../client/kata/services.ts';
import { openChannel } from '../../../client/rpc/open-channel.ts';
import { echoRoundTrips } from '../raw-client.ts';
import { timeEach } from '../timing.ts';

/** Until V8 has compiled what runs often. */
const WARM_UP = 2000;

const [kind = '', path = '', count = ''] = process.argv.slice(2);
const n = Number(count);
if (kind === 'echo') {
  const socket = await dial({ kind: 'unix', path });
  await echoRoundTrips(socket, WARM_UP);
  report(await echoRoundTrips(socket, n));
  socket.destroy();
} else if (kind === 'ttrpc' || kind === 'grpc') {
  const channel = await openChannel(`unix://${path}`, { protocol: kind });
  const { health } = kataClient(channel);
  const check = () => health.check({});
  await timeEach(WARM_UP, check);
  report(await timeEach(n, check));
  channel.close();
} else throw new Error(`unknown kind of round trip: ${kind}`);

function report(samples: number[]): void {
  console.log(JSON.stringify(samples));
}
