// Remembers, until the machine boots again, whether a guest really ran under KVM: /dev/kvm may open on a machine
// where no guest gets past its first instructions, and finding out costs seconds each time.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stateDir, writeWhole } from './state-dir.ts';

export interface KvmVerdict {
  works: boolean;
  reason: string;
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const file = () => join(stateDir(), 'kvm.json');

export function recallKvm(path = file()): KvmVerdict | undefined {
  try {
    const saved = JSON.parse(readFileSync(path, 'utf8')) as KvmVerdict & { bootId: string };
    return saved.bootId === bootId() ? { works: saved.works, reason: saved.reason } : undefined;
  } catch {
    return undefined;
  }
}

export function rememberKvm(verdict: KvmVerdict, path = file()): void {
  writeWhole(path, JSON.stringify({ ...verdict, bootId: bootId() }));
}

function bootId(): string {
  return readFileSync(BOOT_ID, 'utf8').trim();
}
