// What an agent tells of itself and its guest, judged.
import { AgentError } from '../../agent/errors.ts';
import { connect as connectGuest } from '../api/guest.ts';
import { UnsupportedError } from '../api/unsupported.ts';
import { kataClient } from '../kata/services.ts';
import { formatBytes } from '../quantity.ts';
import { openChannel } from '../rpc/open-channel.ts';
import { type Finding, note, ok, problem, warning } from './finding.ts';

/** The part of berth.v1's answers that is judged here. */
export interface GuestInfo {
  readonly agentVersion: string;
  readonly features: readonly string[];
  readonly generation: number;
  readonly clockUnixMs: bigint;
  readonly cid: number;
  readonly cgroupVersion: number;
  readonly runtimeVersion: string;
  readonly kernelRelease: string;
  readonly memoryTotalBytes: bigint;
  readonly memoryAvailableBytes: bigint;
  readonly entropyBits: number;
}

export interface Heard {
  readonly info: GuestInfo;
  /** ms since 1970 on this machine, when it was asked and when it had answered. */
  readonly asked: number;
  readonly answered: number;
}

const ANSWER_MS = 5_000;
/** Certificates and logs begin to disagree. */
const CLOCK_OFF_MS = 1_000;
/** What the kernel's generator holds once it is seeded, since Linux 5.18. */
const ENTROPY_BITS = 256;
const MEMORY_LOW = 0.1;
/** Older ones let a hostile image redirect /dev. */
const CRUN_OLDEST = [1, 28] as const;

export async function checkGuest(address: string): Promise<Finding[]> {
  const protocols = await Promise.all([checkTtrpc(address), checkGrpc(address)]);
  const findings = protocols.map(({ finding }) => finding);
  const heard = protocols[1]!.heard;
  return heard === undefined ? findings : [...findings, ...judge(heard)];
}

async function checkTtrpc(address: string): Promise<{ finding: Finding; heard?: Heard }> {
  try {
    const options = { timeoutMs: ANSWER_MS, signal: AbortSignal.timeout(ANSWER_MS) };
    const channel = await openChannel(address, { ...options, protocol: 'ttrpc' });
    try {
      const { agentVersion } = await kataClient(channel).health.version({}, options);
      return { finding: ok('ttrpc', `answers Kata's Version: ${agentVersion}`) };
    } finally {
      channel.close();
    }
  } catch (error) {
    return { finding: unanswered('ttrpc', address, error) };
  }
}

async function checkGrpc(address: string): Promise<{ finding: Finding; heard?: Heard }> {
  try {
    await using guest = await connectGuest(address, { patienceMs: ANSWER_MS });
    const asked = Date.now();
    const info = await guest.info();
    return { finding: ok('grpc', `answers berth.v1, level ${info.apiLevel}`), heard: { info, asked, answered: Date.now() } };
  } catch (error) {
    if (error instanceof UnsupportedError) return { finding: warning('grpc', error.message, error.remedy) };
    return { finding: unanswered('grpc', address, error) };
  }
}

function unanswered(protocol: string, address: string, error: unknown): Finding {
  const why = error instanceof AgentError ? error.message : String(error);
  return problem(
    protocol,
    why,
    `see that the VM runs (\`berth vm ls\`) and that its agent listens at ${address}; its console tells why it does not`,
  );
}

/** Pure. */
export function judge({ info, asked, answered }: Heard): Finding[] {
  return [
    ok('agent', `Berth ${info.agentVersion} on Linux ${info.kernelRelease}`),
    ok('features', info.features.join(', ')),
    restarts(info),
    clock(Number(info.clockUnixMs), asked, answered),
    entropy(info),
    info.cid === 0 ? note('cid', 'no vsock device') : ok('cid', `vsock CID ${info.cid}`),
    cgroups(info),
    runtime(info),
    memory(info),
  ];
}

function restarts({ generation }: GuestInfo): Finding {
  if (generation <= 1) return ok('restarts', 'the agent has run since the boot');
  return warning(
    'restarts',
    `the agent has been restarted ${generation - 1} times since the boot`,
    "the guest's console tells how each ended",
  );
}

function clock(guest: number, asked: number, answered: number): Finding {
  const error = Math.ceil((answered - asked) / 2);
  const offset = Math.round(guest - (asked + answered) / 2);
  const found = `${offset >= 0 ? '+' : ''}${offset} ms, known to ${error} ms`;
  if (Math.abs(offset) - error <= CLOCK_OFF_MS) return ok('clock', found);
  return warning(
    'clock',
    `the guest's clock is off by ${found}`,
    'guest.setClock() of the TypeScript client, or chrony with /dev/ptp0 in the guest',
  );
}

function entropy({ entropyBits }: GuestInfo): Finding {
  if (entropyBits >= ENTROPY_BITS) return ok('entropy', `${entropyBits} bits`);
  return warning(
    'entropy',
    `${entropyBits} bits: the random generator is not seeded yet`,
    'give the VM a virtio-rng device (QEMU: -device virtio-rng-pci)',
  );
}

function cgroups({ cgroupVersion }: GuestInfo): Finding {
  if (cgroupVersion === 2) return ok('cgroups', 'version 2');
  return problem(
    'cgroups',
    `version ${cgroupVersion || 'unknown'}; Berth needs 2`,
    'boot the guest with cgroup_no_v1=all, or from the image of Berth',
  );
}

function runtime({ runtimeVersion }: GuestInfo): Finding {
  const numbers = /(\d+)\.(\d+)/.exec(runtimeVersion);
  if (numbers === null) return problem('crun', 'not found in the guest', 'boot the guest from the image of Berth');
  const [major, minor] = [Number(numbers[1]), Number(numbers[2])];
  if (major > CRUN_OLDEST[0] || (major === CRUN_OLDEST[0] && minor >= CRUN_OLDEST[1])) return ok('crun', runtimeVersion);
  return warning(
    'crun',
    `${runtimeVersion} is older than ${CRUN_OLDEST.join('.')}, and known to be weak against hostile images`,
    'build the image again: npm run build',
  );
}

function memory({ memoryTotalBytes, memoryAvailableBytes }: GuestInfo): Finding {
  const found = `${formatBytes(Number(memoryAvailableBytes))} of ${formatBytes(Number(memoryTotalBytes))} available`;
  if (Number(memoryAvailableBytes) >= MEMORY_LOW * Number(memoryTotalBytes)) return ok('memory', found);
  return warning('memory', found, 'give the VM more (`berth vm start --memory`), or its containers less');
}
