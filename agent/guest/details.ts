// What the host asks about the guest before it creates anything (kata-agent.md §3.9).
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, isErrno } from '../errors.ts';

export interface GuestDetails {
  /** Unit of memory hot-plug; 0 when not asked for or when the kernel has none. */
  readonly memBlockSizeBytes: bigint;
  readonly supportMemHotplugProbe: boolean;
  readonly agent: AgentFacts;
}

export interface AgentFacts {
  readonly version: string;
  /** Whether the agent came up with the machine, rather than as a service of another init. */
  readonly initDaemon: boolean;
  readonly deviceHandlers: string[];
  readonly storageHandlers: string[];
  /** A host that wants seccomp refuses every container when this is false. */
  readonly supportsSeccomp: boolean;
  readonly extraFeatures: string[];
}

export interface WantedDetails {
  readonly memBlockSize: boolean;
  readonly memHotplugProbe: boolean;
}

/** @throws internal when the kernel's block size can't be read as a number */
export async function readGuestDetails(wanted: WantedDetails, agent: AgentFacts, sysDir = '/sys'): Promise<GuestDetails> {
  const memory = join(sysDir, 'devices/system/memory');
  return {
    memBlockSizeBytes: wanted.memBlockSize ? await readBlockSize(join(memory, 'block_size_bytes')) : 0n,
    supportMemHotplugProbe: wanted.memHotplugProbe && (await exists(join(memory, 'probe'))),
    agent,
  };
}

/** Hexadecimal without a prefix (admin-guide/mm/memory-hotplug.rst). */
async function readBlockSize(path: string): Promise<bigint> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0n;
    throw error;
  }
  if (!/^[0-9a-f]{1,16}$/i.test(text))
    throw new AgentError('internal', `${path} holds ${JSON.stringify(text.slice(0, 40))}, not a size`);
  return BigInt(`0x${text}`);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
