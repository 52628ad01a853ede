// A service made for these tests: methods that echo, wait, fail and stream, with raw bytes as messages.
import { setTimeout as sleep } from 'node:timers/promises';
import { grpc } from '#proto/kata.js';
import { AgentError, type Code } from '../../agent/errors.ts';
import type { CallContext, Codec, Method } from '../../agent/rpc/service.ts';

export const SERVICE = 'berth.test.Fixture';

const raw: Codec<Uint8Array> = { encode: (message) => ({ finish: () => message }), decode: (bytes) => bytes };
const text: Codec<string> = {
  encode: (message) => ({ finish: () => Buffer.from(message) }),
  decode: (bytes) => Buffer.from(bytes).toString(),
};

/** What the handlers saw, for a test to look at. */
export interface Seen {
  /** Calls of Block that wait now. */
  blocked: number;
  /** Why calls of Block, or streams, were ended. */
  aborts: AgentError[];
  calls: CallContext[];
  /** Messages a stream handler had yielded. */
  yielded: number;
  /** What Talk was sent. */
  heard: string[];
  /** What calls of Told learned of their answers. */
  told: boolean[];
}

export function fixtureService(): { methods: Method[]; seen: Seen } {
  const seen: Seen = { blocked: 0, aborts: [], calls: [], yielded: 0, heard: [], told: [] };
  const base = { service: SERVICE, kind: 'unary', request: raw, response: raw } as const;
  const methods: Method[] = [
    { ...base, name: 'Echo', handle: async (bytes: Uint8Array) => bytes },
    { ...base, name: 'EchoNow', immediate: true, handle: (bytes: Uint8Array) => bytes },
    {
      ...base,
      name: 'Block',
      handle: async (_: unknown, call: CallContext) => {
        seen.blocked++;
        await untilAborted(call, seen);
        throw call.signal.reason;
      },
    },
    {
      ...base,
      name: 'Fail',
      request: text,
      handle: async (code: string) => Promise.reject(new AgentError(code as Code, `told to fail: ${code}`)),
    },
    { ...base, name: 'Throw', handle: () => raise(new TypeError('secret detail')) },
    {
      ...base,
      name: 'Say',
      request: text,
      handle: async (message: string) => Promise.reject(new AgentError('internal', message)),
    },
    { ...base, name: 'Zeros', request: text, handle: async (length: string) => Buffer.alloc(Number(length)) },
    { ...base, name: 'Late', request: text, handle: async (ms: string) => sleep(Number(ms), Buffer.from(ms)) },
    {
      ...base,
      name: 'Told',
      request: text,
      handle: async (ms: string, call: CallContext) => {
        call.onAnswered((sent) => seen.told.push(sent));
        return sleep(Number(ms), Buffer.alloc(10_000));
      },
    },
    { ...base, name: 'Strict', request: grpc.CheckRequest, handle: async () => new Uint8Array() },
    {
      ...base,
      name: 'Context',
      response: text,
      handle: async (_: unknown, call: CallContext) => {
        seen.calls.push(call);
        return JSON.stringify([...call.metadata]);
      },
    },
    {
      service: SERVICE,
      kind: 'server-stream',
      name: 'Count',
      request: text,
      response: text,
      handle: async function* (requests: AsyncIterable<string>, call: CallContext) {
        call.signal.addEventListener('abort', () => seen.aborts.push(call.signal.reason));
        for await (const count of requests) {
          for (let i = 0; i < Number(count); i++) {
            seen.yielded++;
            yield 'x'.repeat(64 * 1024);
          }
        }
      },
    },
    {
      service: SERVICE,
      kind: 'bidi',
      name: 'Chat',
      request: text,
      response: text,
      handle: async function* (requests: AsyncIterable<string>) {
        for await (const line of requests) {
          if (line === 'fail') throw new AgentError('failed_precondition', 'told to fail');
          yield `${line}!`;
        }
      },
    },
    {
      service: SERVICE,
      kind: 'duplex',
      name: 'Talk',
      request: text,
      response: text,
      handle: async ({ requests, send }, call) => {
        call.signal.addEventListener('abort', () => seen.aborts.push(call.signal.reason));
        let flood: Promise<void> | undefined;
        for await (const line of requests) {
          seen.heard.push(line);
          if (line === 'fail')
            throw new AgentError('failed_precondition', 'told to fail', { fields: { limit: 'talks', 'berth-note': 'ä"' } });
          if (line !== 'flood') await send(`${line}!`);
          else
            flood = (async () => {
              for (;;) {
                await send('x'.repeat(64 * 1024));
                seen.yielded++;
              }
            })().catch(() => {});
        }
        await flood;
      },
    },
  ];
  return { methods, seen };
}

async function untilAborted(call: CallContext, seen: Seen): Promise<void> {
  await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve(), { once: true }));
  seen.blocked--;
  seen.aborts.push(call.signal.reason);
}

function raise(error: Error): never {
  throw error;
}
