// Whether a guest really runs under KVM. That /dev/kvm opens says little: on a machine whose own hypervisor has no nested virtualisation a
// guest may stop at its first instruction. So one is run: six instructions where a processor begins, which end QEMU with a status of
// their own.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Accel } from '../vm/machine.ts';
import type { System } from './system.ts';

/** A firmware image is a multiple of this, and ends at the first megabyte's end. */
const FIRMWARE_BYTES = 64 << 10;
/** The processor begins 16 bytes before that end (Intel SDM volume 3, 10.1.4). */
const RESET_VECTOR = FIRMWARE_BYTES - 16;
const DEBUG_PORT = 0xf4;
const TOLD = 0x2a;
/** mov dx, DEBUG_PORT; mov al, TOLD; out dx, al; hlt; jmp to the hlt */
const PROGRAM = [0xba, DEBUG_PORT, 0x00, 0xb0, TOLD, 0xee, 0xf4, 0xeb, 0xfd];
/** QEMU's isa-debug-exit ends with this for the value told. */
const STATUS = (TOLD << 1) | 1;
/** It takes a tenth of a second. */
const PATIENCE_MS = 8_000;

/** @returns why no guest runs, or undefined when one ran */
export async function proveGuestRuns(system: System, qemu: string, accel: Accel): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-kvm-'));
  try {
    const firmware = join(folder, 'firmware');
    const image = Buffer.alloc(FIRMWARE_BYTES);
    image.set(PROGRAM, RESET_VECTOR);
    await writeFile(firmware, image);
    const { code, stderr } = await system.run(qemu, proofArguments(firmware, accel), PATIENCE_MS);
    if (code === STATUS) return undefined;
    if (code === undefined) return `a guest under ${accel} did nothing for ${PATIENCE_MS / 1000} s`;
    return stderr.trim().split('\n')[0] || `QEMU ended with ${code}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function proofArguments(firmware: string, accel: Accel): string[] {
  return [
    ...['-accel', accel, '-cpu', accel === 'kvm' ? 'host' : 'max', '-machine', 'pc', '-m', '16M', '-bios', firmware],
    ...[
      '-nodefaults',
      '-no-user-config',
      '-no-reboot',
      '-display',
      'none',
      '-device',
      `isa-debug-exit,iobase=${DEBUG_PORT},iosize=1`,
    ],
  ];
}
