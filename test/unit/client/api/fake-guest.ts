// An agent for tests of the healing client: processes that are logs in memory, over the real gRPC server, behind a proxy that breaks connections.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { berth } from '#proto/berth.js';
import { FEATURES } from '../../../../agent/api/berth/agent.ts';
import { AgentError } from '../../../../agent/errors.ts';
import { silentLogger } from '../../../../agent/log.ts';
import { type RpcServer, serve } from '../../../../agent/rpc/server.ts';
import { type DuplexMethod, type Method, methodTable, type UnaryMethod } from '../../../../agent/rpc/service.ts';
import type { Listener } from '../../../../agent/transport/connection.ts';
import { dial } from '../../../../agent/transport/dial.ts';
import { listenUnix } from '../../../../agent/transport/unix.ts';
import { BreakingProxy } from '../../../support/breaking-proxy.ts';

const v1 = berth.v1;
const { OutputStream } = v1;
const WINDOW = 64 * 1024;
const CHUNK = 16 * 1024;

/** One process: its output is all there from the start, from `start` on. */
export interface FakeProcess {
  output: Buffer;
  /** Of the oldest byte that is kept. */
  start: number;
  /** Of input, as accepted. */
  input: Buffer;
  inputEnded: boolean;
  /** The highest that was acknowledged. */
  acknowledged: bigint;
  exit: Promise<berth.v1.Exit.$Properties>;
  /** Bytes that were sent, again and again. */
  sent: number;
  refuseInput?: boolean;
  /** More output may come. */
  open?: boolean;
}

export class FakeGuest implements AsyncDisposable {
  readonly processes = new Map<string, FakeProcess>();
  readonly starts: berth.v1.StartRequest[] = [];
  readonly signals: berth.v1.SignalRequest[] = [];
  /** Before a start is answered. */
  onStart: (() => void) | undefined;
  hellos = 0;
  /** What it announces. */
  features = [...FEATURES] as string[];
  readonly #folder: string;
  #server!: RpcServer;
  #listener!: Listener;
  /** The way to it. */
  proxy!: BreakingProxy;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<FakeGuest> {
    const guest = new FakeGuest(await mkdtemp(join(tmpdir(), 'berth-fake-')));
    guest.#server = serve(methodTable(guest.#methods()), { log: silentLogger });
    guest.#listener = await listenUnix({ kind: 'unix', path: join(guest.#folder, 's') }, guest.#server.accept);
    guest.proxy = await BreakingProxy.start(() => dial({ kind: 'unix', path: join(guest.#folder, 's') }));
    return guest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.#listener.close();
    await this.#server.close(0);
    await rm(this.#folder, { recursive: true, force: true });
  }

  #methods(): Method[] {
    const unary = <Req, Res>(
      service: string,
      name: string,
      request: UnaryMethod<Req, Res>['request'],
      response: UnaryMethod<Req, Res>['response'],
      handle: UnaryMethod<Req, Res>['handle'],
    ): Method => ({ kind: 'unary', service: `berth.v1.${service}`, name, request, response, handle });
    const attach: DuplexMethod<berth.v1.AttachRequest, berth.v1.AttachResponse.$Properties> = {
      kind: 'duplex',
      service: 'berth.v1.Processes',
      name: 'Attach',
      request: v1.AttachRequest,
      response: v1.AttachResponse,
      handle: ({ requests, send }) => this.#attach(requests, send),
    };
    return [
      unary('Agent', 'Hello', v1.HelloRequest, v1.HelloResponse, ({ session }) => {
        this.hellos++;
        return { session: session || 'session', features: this.features, agentVersion: '0.1.0' };
      }),
      unary('Processes', 'Start', v1.StartRequest, v1.StartResponse, (request) => {
        this.starts.push(request);
        this.onStart?.();
        if (request.program?.args?.[0] === 'missing') {
          throw new AgentError('not_found', 'no such program', {
            fields: { 'berth-start-failure': '{"stage":"STAGE_PROGRAM","errnoName":"ENOENT"}' },
          });
        }
        return { process: { ref: { containerId: request.containerId, processId: 'p' }, pid: 7 } };
      }),
      unary('Processes', 'Wait', v1.WaitRequest, v1.WaitResponse, async ({ ref }) => ({ exit: await this.#get(ref).exit })),
      unary('Processes', 'Inspect', v1.InspectProcessRequest, v1.Process, ({ ref }) => ({ ref, pid: 7 })),
      unary('Processes', 'Signal', v1.SignalRequest, v1.SignalResponse, (request) => {
        this.signals.push(request);
        return { survivors: [] };
      }),
      unary('Processes', 'Forget', v1.ForgetRequest, v1.ForgetResponse, ({ ref }) => {
        this.processes.delete(ref?.processId ?? '');
        return {};
      }),
      attach,
    ];
  }

  #get(ref: berth.v1.ProcessRef.$Properties | null | undefined): FakeProcess {
    const process = this.processes.get(ref?.processId ?? '');
    if (process === undefined) throw new AgentError('not_found', 'no such process');
    return process;
  }

  async #attach(
    requests: AsyncIterable<berth.v1.AttachRequest>,
    send: (message: berth.v1.AttachResponse.$Properties) => Promise<void>,
  ): Promise<void> {
    const messages = requests[Symbol.asyncIterator]();
    const { open } = (await messages.next()).value as berth.v1.AttachRequest;
    const process = this.#get(open?.ref);
    const state = { start: BigInt(process.start), end: BigInt(process.output.length), acknowledged: process.acknowledged };
    const stdin = { accepted: BigInt(process.input.length) };
    await send({ opened: { process: { ref: open?.ref ?? {}, stdout: state, stdin }, stdinWindow: WINDOW } });
    let credit = open?.stdout?.credit ?? 0;
    let wake: (() => void) | undefined;
    let over = false;
    const obey = (async () => {
      for (let next = await messages.next(); !next.done; next = await messages.next()) {
        const message = next.value;
        if (message.credit) credit += message.credit.bytes ?? 0;
        if (message.acknowledge) process.acknowledged = maximum(process.acknowledged, message.acknowledge.offset ?? 0n);
        if (message.stdin) await this.#input(process, message.stdin, send);
        if (message.stdinClose) process.inputEnded = true;
        wake?.();
      }
    })()
      .catch(() => {})
      .finally(() => {
        over = true;
        wake?.();
      });
    const exit = process.exit.then((exit) => send({ exit }));
    if (open?.stdout) {
      let at = Number(open.stdout.offset ?? BigInt(process.start));
      if (at < process.start) {
        await send({ gap: { stream: OutputStream.OUTPUT_STREAM_STDOUT, from: BigInt(at), to: BigInt(process.start) } });
        at = process.start;
      }
      while (!over && at < process.output.length) {
        if (credit <= 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          continue;
        }
        const data = process.output.subarray(at, at + Math.min(CHUNK, credit));
        await send({ data: { stream: OutputStream.OUTPUT_STREAM_STDOUT, offset: BigInt(at), data } });
        at += data.length;
        credit -= data.length;
        process.sent += data.length;
      }
      if (process.open) await obey;
      await send({ endOfOutput: { stream: OutputStream.OUTPUT_STREAM_STDOUT, offset: BigInt(at), closed: true } });
    }
    if (open?.stderr) await send({ endOfOutput: { stream: OutputStream.OUTPUT_STREAM_STDERR, offset: 0n, closed: true } });
    const acknowledged = async () => {
      await exit;
      const wanted = open?.stdout?.primary ? BigInt(process.output.length) : 0n;
      while (!over && process.acknowledged < wanted) await sleep(2);
    };
    await Promise.race([acknowledged(), obey]);
  }

  async #input(
    process: FakeProcess,
    { offset = 0n, data = new Uint8Array() }: berth.v1.AttachRequest.Stdin.$Properties,
    send: (message: berth.v1.AttachResponse.$Properties) => Promise<void>,
  ): Promise<void> {
    if (process.refuseInput) {
      const { REASON_READER_GONE: reason } = v1.AttachResponse.StdinFailed.Reason;
      await send({ stdinFailed: { reason, offset: BigInt(process.input.length), message: 'nobody reads it' } });
      return;
    }
    const skip = process.input.length - Number(offset);
    if (skip < 0) throw new Error(`a hole before ${offset}`);
    process.input = Buffer.concat([process.input, (data ?? new Uint8Array()).subarray(skip)]);
    await send({ stdinAccepted: { offset: BigInt(process.input.length) } });
  }
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
