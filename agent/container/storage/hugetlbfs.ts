// `ephemeral` storage of fstype hugetlbfs: pages of the size asked for are reserved in the guest's kernel, and given back.
// See Documentation/admin-guide/mm/hugetlbpage.rst.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, fromErrno, isErrno } from '../../errors.ts';
import { parseMountOptions } from './mount-options.ts';
import { mountOn } from './mount-target.ts';
import type { Detach, Storage, StorageHost } from './storage.ts';

/** What a guest could have at all: 1 TiB. */
const MAX_BYTES = 1n << 40n;

interface Reservation {
  readonly pageBytes: bigint;
  readonly pages: number;
}

/** Changes of the number of pages of one size come one after the other: each reads it and writes it. */
const turns = new Map<string, Promise<unknown>>();

export async function attachHugetlbfs(storage: Storage, { door, sysDir }: StorageHost): Promise<Detach> {
  const options = storage.options.flatMap((option) => option.split(','));
  const wanted = reservation(options);
  const counter = join(sysDir, 'kernel/mm/hugepages', `hugepages-${wanted.pageBytes / 1024n}kB`, 'nr_hugepages');
  await addPages(counter, wanted);
  const giveBack = () => removePages(counter, wanted.pages);
  try {
    const unmount = await mountOn(
      door,
      storage.mountPoint,
      { source: storage.source || 'nodev', fstype: 'hugetlbfs' },
      {
        ...parseMountOptions(options),
      },
    );
    return async () => {
      await unmount();
      await giveBack();
    };
  } catch (error) {
    await giveBack().catch(() => {});
    throw error;
  }
}

/** `pagesize=` and `size=`, in bytes or with the suffix of a unit. @throws invalid_argument */
function reservation(options: readonly string[]): Reservation {
  const pageBytes = bytesOf(options, 'pagesize');
  const bytes = bytesOf(options, 'size');
  if (pageBytes < 4096n || (pageBytes & (pageBytes - 1n)) !== 0n) throw invalid(`pagesize=${pageBytes} is no size of a page`);
  if (bytes % pageBytes !== 0n) throw invalid(`size=${bytes} is not a multiple of the page size ${pageBytes}`);
  return { pageBytes, pages: Number(bytes / pageBytes) };
}

const UNITS: Readonly<Record<string, bigint>> = { '': 1n, k: 1n << 10n, m: 1n << 20n, g: 1n << 30n };

function bytesOf(options: readonly string[], key: string): bigint {
  const value = options.findLast((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  if (value === undefined) throw invalid(`hugetlbfs needs \`${key}=\``);
  const [, digits, unit] = /^(\d{1,13})([kKmMgG]?)$/.exec(value) ?? [];
  const bytes = digits === undefined ? 0n : BigInt(digits) * UNITS[unit!.toLowerCase()]!;
  if (bytes > 0n && bytes <= MAX_BYTES) return bytes;
  throw invalid(`${key}=${JSON.stringify(value.slice(0, 40))} is no size in bytes`);
}

/** All of them or none. @throws resource_exhausted when the guest has not that much memory in one piece */
async function addPages(counter: string, { pages, pageBytes }: Reservation): Promise<void> {
  await inTurn(counter, async () => {
    const before = await readCount(counter, pageBytes);
    await writeFile(counter, String(before + pages));
    const got = (await readCount(counter, pageBytes)) - before;
    if (got >= pages) return;
    await writeFile(counter, String(before));
    throw new AgentError('resource_exhausted', `Failed to allocate ${pages} huge pages of ${pageBytes} bytes: got ${got}`, {
      fields: { field: 'options', pages, pageBytes },
    });
  });
}

async function removePages(counter: string, pages: number): Promise<void> {
  await inTurn(counter, async () => {
    const count = Number(await readFile(counter, 'utf8'));
    await writeFile(counter, String(Math.max(0, count - pages)));
  });
}

async function readCount(counter: string, pageBytes: bigint): Promise<number> {
  try {
    return Number(await readFile(counter, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw invalid(`pagesize=${pageBytes}: the guest has no pages of that size`);
    throw fromErrno(error, `read ${counter}`);
  }
}

async function inTurn(counter: string, step: () => Promise<void>): Promise<void> {
  const done = (turns.get(counter) ?? Promise.resolve()).then(step);
  const settled = done.catch(() => {});
  turns.set(counter, settled);
  await done.finally(() => {
    if (turns.get(counter) === settled) turns.delete(counter);
  });
}

function invalid(problem: string): AgentError {
  return new AgentError('invalid_argument', `storages[].options: ${problem}`, { fields: { field: 'options' } });
}
