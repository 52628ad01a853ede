// An agent for tests of the client: Kata's calls over the real servers, with "containers" that are children of the test.

import { berth } from '#proto/berth.js';
import { google, grpc } from '#proto/kata.js';
import { AgentError } from '../../agent/errors.ts';
import { type Method, methodTable, type UnaryMethod } from '../../agent/rpc/service.ts';
import { FakeProcess, type FakeProcessSpec, readPiece } from './fake-process.ts';

interface FakeContainer {
  id: string;
  init: FakeProcessSpec;
  size?: { rows: number; columns: number };
  processes: Map<string, FakeProcess>;
  exitStatus?: number;
  stdinClosed: boolean;
}

const { Empty } = google.protobuf;

/** What the client sees of a guest, and what a test sees of the client. */
export class FakeAgent {
  readonly containers = new Map<string, FakeContainer>();
  /** Calls in order, `Name container[/exec] [detail]`; reads are left out. */
  readonly calls: string[] = [];
  readonly specs = new Map<string, grpc.ISpec>();
  readonly storages = new Map<string, readonly grpc.IStorage[]>();

  table() {
    return methodTable(this.methods());
  }

  /** How long CreateContainer takes. */
  createDelayMs = 0;

  /** Ends every process and forgets everything. */
  reset(): void {
    for (const { processes } of this.containers.values()) for (const process of processes.values()) process.destroy();
    for (const kept of [this.containers, this.specs, this.storages]) kept.clear();
    this.calls.length = 0;
    this.createDelayMs = 0;
  }

  private methods(): Method[] {
    return [
      unary('grpc.Health', 'Check', grpc.CheckRequest, grpc.HealthCheckResponse, () => ({ status: 1 })),
      unary('grpc.Health', 'Version', grpc.CheckRequest, grpc.VersionCheckResponse, () => ({
        agentVersion: '0.0.0-fake',
        grpcVersion: '0.0.1',
      })),
      unary('berth.v1.Containers', 'List', berth.v1.ListRequest, berth.v1.ListResponse, () => this.list()),
      this.agent('CreateContainer', grpc.CreateContainerRequest, (request) => this.create(request)),
      this.agent('StartContainer', grpc.StartContainerRequest, async ({ containerId }) => {
        const container = this.container(containerId);
        await this.startProcess(container, '', container.init);
      }),
      this.agent('ExecProcess', grpc.ExecProcessRequest, async ({ containerId, execId, process }) => {
        await this.startProcess(this.container(containerId), execId!, processSpec(process!));
      }),
      this.agent('RemoveContainer', grpc.RemoveContainerRequest, async ({ containerId }) => {
        const container = this.container(containerId);
        for (const process of container.processes.values()) {
          process.signal(9);
          await process.exited;
          process.stdio.close();
        }
        this.containers.delete(container.id);
      }),
      this.agent('SignalProcess', grpc.SignalProcessRequest, (request) => this.process(request).signal(request.signal!)),
      this.agent('TtyWinResize', grpc.TtyWinResizeRequest, (request) => this.resize(request)),
      this.agent('CloseStdin', grpc.CloseStdinRequest, (request) => this.process(request).stdio.stdin.close()),
      unary('grpc.AgentService', 'WaitProcess', grpc.WaitProcessRequest, grpc.WaitProcessResponse, async (request) => {
        this.calls.push(`WaitProcess ${request.containerId}`);
        return { status: await this.process(request).exited };
      }),
      unary('grpc.AgentService', 'WriteStdin', grpc.WriteStreamRequest, grpc.WriteStreamResponse, async (request) => {
        this.calls.push(`WriteStdin ${request.containerId}`);
        await this.process(request).stdio.stdin.write(request.data!);
        return { len: request.data!.length };
      }),
      this.reader('ReadStdout', ({ stdout }, length) => readPiece(stdout, length)),
      this.reader('ReadStderr', ({ stderr }, length) => readPiece(stderr, length)),
      unary('grpc.AgentService', 'StatsContainer', grpc.StatsContainerRequest, grpc.StatsContainerResponse, ({ containerId }) => {
        this.container(containerId);
        return { cgroupStats: { memoryStats: { usage: { usage: 1n << 20n, limit: 2n << 20n } }, pidsStats: { current: 2n } } };
      }),
    ];
  }

  private async create({ containerId, OCI, storages }: grpc.ICreateContainerRequest): Promise<void> {
    const id = containerId!;
    await new Promise((resolve) => setTimeout(resolve, this.createDelayMs));
    if (this.containers.has(id)) throw new AgentError('already_exists', `container ${id} already exists`);
    const init = processSpec(OCI!.Process!);
    this.specs.set(id, OCI!);
    this.storages.set(id, storages ?? []);
    this.containers.set(id, { id, init, processes: new Map(), stdinClosed: false });
  }

  private async startProcess(container: FakeContainer, execId: string, spec: FakeProcessSpec): Promise<void> {
    const process = await FakeProcess.start(spec).catch((error: Error) => {
      throw new AgentError('internal', error.message);
    });
    container.processes.set(execId, process);
    if (container.size !== undefined && execId === '') process.resize(container.size.rows, container.size.columns);
    if (execId === '') void process.exited.then((status) => (container.exitStatus = status));
  }

  private resize({ containerId, execId, row, column }: grpc.ITtyWinResizeRequest): void {
    const container = this.container(containerId);
    const size = { rows: row!, columns: column! };
    // Before the start there is no terminal here yet; in a guest there is.
    if (!container.processes.has(execId!)) container.size = size;
    else this.process({ containerId, execId }).resize(size.rows, size.columns);
  }

  private list(): berth.v1.ListResponse.$Properties {
    const { State } = berth.v1.Container;
    return {
      containers: [...this.containers.values()].map(({ id, init, processes, exitStatus }) => ({
        id,
        args: [...init.args],
        pid: processes.get('')?.pid ?? 0,
        state: exitStatus !== undefined ? State.STATE_STOPPED : processes.has('') ? State.STATE_RUNNING : State.STATE_CREATED,
        exitStatus: exitStatus ?? 0,
        createdUnixMs: BigInt(Date.now() - 5000),
      })),
    };
  }

  private container(id: string | null | undefined): FakeContainer {
    const container = this.containers.get(id!);
    if (container === undefined) throw new AgentError('not_found', `container \`${id}\` not found`);
    return container;
  }

  private process({ containerId, execId }: { containerId?: string | null; execId?: string | null }): FakeProcess {
    const process = this.container(containerId).processes.get(execId ?? '');
    if (process === undefined) throw new AgentError('not_found', `process not found: no exec \`${execId}\``);
    return process;
  }

  /** A call of AgentService that answers nothing, logged. */
  private agent<
    Req extends {
      containerId?: string | null;
      execId?: string | null;
      signal?: number | null;
      row?: number | null;
      column?: number | null;
    },
  >(name: string, request: UnaryMethod<Req, unknown>['request'], handle: (request: Req) => unknown): Method {
    return unary('grpc.AgentService', name, request, Empty, async (message) => {
      const { containerId, signal, row, column } = message;
      const detail =
        signal !== undefined && name === 'SignalProcess' ? ` ${signal}` : name === 'TtyWinResize' ? ` ${row}x${column}` : '';
      this.calls.push(`${name} ${containerId ?? ''}${detail}`);
      await handle(message);
      return {};
    });
  }

  private reader(name: string, read: (stdio: FakeProcess['stdio'], length: number) => Promise<Uint8Array>): Method {
    return unary('grpc.AgentService', name, grpc.ReadStreamRequest, grpc.ReadStreamResponse, async (request) => ({
      data: await read(this.process(request).stdio, request.len!),
    }));
  }
}

function unary<Req, Res>(
  service: string,
  name: string,
  request: UnaryMethod<Req, unknown>['request'],
  response: { encode(message: Res): { finish(): Uint8Array }; decode(bytes: Uint8Array): unknown },
  handle: (request: Req) => Promise<Res> | Res,
): Method {
  return { kind: 'unary', service, name, request, response, handle };
}

function processSpec({ Args, Env, Terminal }: grpc.IProcess): FakeProcessSpec {
  return { args: Args ?? [], env: Env ?? [], terminal: Terminal ?? false };
}
