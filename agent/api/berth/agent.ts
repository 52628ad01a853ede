// berth.v1.Agent: who is there, what it can do, the guest's clock and its end.
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { berth } from '#proto/berth.js';
import { AgentError } from '../../errors.ts';
import { setClock } from '../../guest/clock.ts';
import { addEntropy } from '../../guest/entropy.ts';
import { bootId, readGuestFacts } from '../../guest/facts.ts';
import type { Method } from '../../rpc/service.ts';
import { CLIENT_LIMITS, type Clients } from '../../sandbox/clients.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import type { SandboxLease } from '../../sandbox/sandbox-lease.ts';
import { AGENT_COMMIT, AGENT_VERSION } from '../../version.ts';
import { berthService } from './method.ts';

const v1 = berth.v1;

/** Of the API; grows when something is added that a client might ask for. */
export const API_LEVEL = 1;
/** What a client may count on, by name; a client that knows a feature that is not listed here tells its caller so. */
export const FEATURES = [
  'processes',
  'attach',
  'containers',
  'events',
  'leases',
  'keys',
  'sessions',
  'tunnels',
  'top',
  'files',
  'upgrade',
] as const;
const MAX_NAME_BYTES = 64;
const DEFAULT_DEADLINE_MS = 10_000;
const MAX_DEADLINE_MS = 600_000;
const NS_PER_SEC = 1_000_000_000n;

/** What the agent knows of itself. */
export interface AgentSelf {
  readonly generation: number;
  readonly runtimeVersion: () => Promise<string>;
  /** SHA-256 in hex of the bundle that runs in place of the image's; '' for that one. */
  readonly bundle: () => Promise<string>;
  /** Resolves when what a client is told will outlive this agent. */
  readonly ready: () => Promise<void>;
  /** Why what this agent took over from an earlier one may not be all; '' when it is. */
  readonly degraded: () => string;
}

export interface AgentMethodOptions {
  readonly sandbox: Sandbox;
  readonly clients: Clients;
  readonly self: AgentSelf;
  readonly lease: SandboxLease;
}

export function agentMethods({ sandbox, clients, self, lease }: AgentMethodOptions): Method[] {
  const { unary } = berthService('Agent', clients);
  return [
    unary('Hello', v1.HelloRequest, v1.HelloResponse, async ({ name, version, session }, { caller }) => {
      checkName('name', name);
      checkName('version', version);
      await self.ready();
      const fresh = (await promisify(randomBytes)(16)).toString('hex');
      const client = clients.hello(caller, { name, version, session }, fresh);
      return {
        agentVersion: AGENT_VERSION,
        apiLevel: API_LEVEL,
        features: [...FEATURES],
        session: client.session,
        clientId: client.id,
        bootId: await bootId(),
        generation: self.generation,
        limits: {
          streams: CLIENT_LIMITS.streams,
          processes: CLIENT_LIMITS.processes,
          callsPerSecond: CLIENT_LIMITS.callsPerSecond,
        },
      };
    }),
    unary('Info', v1.InfoRequest, v1.InfoResponse, async () => {
      const facts = await readGuestFacts();
      return {
        agentVersion: AGENT_VERSION,
        apiLevel: API_LEVEL,
        features: [...FEATURES],
        protocols: ['ttrpc', 'grpc'],
        bootId: facts.bootId,
        generation: self.generation,
        clockUnixMs: BigInt(facts.clock),
        uptimeMs: BigInt(facts.uptimeMs),
        cid: facts.cid ?? 0,
        cgroupVersion: 2,
        runtimeVersion: await self.runtimeVersion(),
        kernelRelease: facts.kernelRelease,
        memoryTotalBytes: BigInt(facts.memoryTotalBytes),
        memoryAvailableBytes: BigInt(facts.memoryAvailableBytes),
        entropyBits: facts.entropyBits,
        cpus: facts.cpus,
        hostname: facts.hostname,
        nodeVersion: process.version,
        degraded: self.degraded(),
        agentCommit: AGENT_COMMIT,
        bundle: await self.bundle(),
      };
    }),
    unary('SetClock', v1.SetClockRequest, v1.SetClockResponse, ({ unixNs }) => {
      const offsetNs = BigInt(Date.now()) * 1_000_000n - unixNs;
      setClock(unixNs / NS_PER_SEC, (unixNs % NS_PER_SEC) / 1000n);
      return { offsetNs };
    }),
    unary('AddEntropy', v1.AddEntropyRequest, v1.AddEntropyResponse, async ({ data }) => {
      await addEntropy(data);
      return {};
    }),
    unary('Shutdown', v1.ShutdownRequest, v1.ShutdownResponse, async ({ deadlineMs }) => {
      const grace = deadlineMs ?? DEFAULT_DEADLINE_MS;
      if (grace > MAX_DEADLINE_MS) {
        throw new AgentError('invalid_argument', `deadline_ms: ${grace}, more than ${MAX_DEADLINE_MS}`, {
          fields: { field: 'deadline_ms' },
        });
      }
      await sandbox.shutdown(grace);
      return {};
    }),
    unary('SandboxLease', v1.SandboxLeaseRequest, v1.SandboxLeaseResponse, ({ ttlMs }) => {
      const leftMs = lease.set(ttlMs);
      return { expiresUnixMs: leftMs === undefined ? 0n : BigInt(Date.now() + leftMs) };
    }),
  ];
}

function checkName(field: string, text: string): void {
  if (Buffer.byteLength(text) <= MAX_NAME_BYTES && !/\p{Cc}/u.test(text)) return;
  throw new AgentError('invalid_argument', `${field}: at most ${MAX_NAME_BYTES} bytes, without control characters`, {
    fields: { field },
  });
}
