// The host's end of raw-server.mjs: starts it in the guest and speaks to its ports.
import { readFile } from 'node:fs/promises';
import type net from 'node:net';
import { join } from 'node:path';
import { dial } from '../../../agent/transport/dial.ts';
import { type Endpoint, parseEndpoint } from '../../../agent/transport/endpoint.ts';
import type { AgentClient } from '../../../client/kata/agent-client.ts';
import { startInGuest } from '../../support/guest-program.ts';
import { copyRate, echoRoundTrips } from '../raw-client.ts';

export const GUEST_NODE = '/usr/lib/berth/node';
const ECHO_PORT = 5001;
const COPY_PORT = 5002;
const CLOCK_PORT = 5003;
/** A slow program under emulation. */
const ANSWER_MS = 120_000;

export interface RawServer {
  /** Milliseconds of each round trip of 64 bytes. */
  echo(count: number): Promise<number[]>;
  /** MB/s from the guest to here. */
  copy(bytes: number): Promise<number>;
  /** Milliseconds of each run of a program in the guest, from spawn to exit. */
  time(args: readonly string[], count: number): Promise<number[]>;
  stop(): Promise<void>;
}

/** @param address of the agent; the raw ports are the same guest's */
export async function startRawServer(client: AgentClient, address: string): Promise<RawServer> {
  const program = await readFile(join(import.meta.dirname, 'raw-server.mjs'), 'utf8');
  const ports = [ECHO_PORT, COPY_PORT, CLOCK_PORT].map(String);
  const server = await startInGuest(client, [GUEST_NODE, '--input-type=module', '-e', program, ...ports], { ownProc: true });
  const sockets: net.Socket[] = [];
  const open = async (port: number) => {
    const socket = await dial(onPort(parseEndpoint(address), port));
    sockets.push(socket);
    return socket;
  };
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    await server.remove();
  };
  try {
    for await (const _ready of server.process.stdout) break;
    const [echo, copy, clock] = [await open(ECHO_PORT), await open(COPY_PORT), await open(CLOCK_PORT)];
    return {
      echo: (count) => echoRoundTrips(echo, count),
      copy: (bytes) => copyRate(copy, bytes),
      time: (args, count) =>
        ask(clock, { args, count }).catch(async (failure: unknown) => {
          const { value } = await server.process.stderr[Symbol.asyncIterator]().next();
          throw new Error(`in the guest: ${failure}: ${Buffer.from(value ?? '')}`);
        }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function onPort(endpoint: Endpoint, port: number): Endpoint {
  if (endpoint.kind === 'unix' || endpoint.kind === 'serial') throw new Error('a guest is reached by vsock or hvsock');
  return { ...endpoint, port };
}

/** One line out, one line back. @throws Error with the guest's text when it is not a list */
function ask(socket: net.Socket, question: object): Promise<number[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => settle(() => reject(new Error('no answer from the raw server'))), ANSWER_MS);
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      socket.off('data', onData);
      finish();
    };
    const onData = (chunk: Buffer) => {
      text += chunk;
      if (!text.endsWith('\n')) return;
      const answer: unknown = JSON.parse(text);
      settle(() => (Array.isArray(answer) ? resolve(answer as number[]) : reject(answer)));
    };
    socket.on('data', onData);
    socket.write(JSON.stringify(question));
  });
}
