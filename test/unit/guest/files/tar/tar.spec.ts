// Headers written and read again, whatever is in them, and anything at all read.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isAgentError } from '../../../../../agent/errors.ts';
import { END_BYTES, paddingOf, type TarEntry, type TarType } from '../../../../../agent/guest/files/tar/entry.ts';
import { readTar } from '../../../../../agent/guest/files/tar/reader.ts';
import { tarHeader } from '../../../../../agent/guest/files/tar/write-header.ts';

const name = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)))
  .filter((bytes) => bytes.at(-1) !== 0x2f);

const member = fc
  .record({
    name,
    linkName: name,
    type: fc.constantFrom<TarType>('file', 'directory', 'symlink', 'link'),
    content: fc.uint8Array({ maxLength: 2000 }),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 0xffff_fffe }),
    gid: fc.integer({ min: 0, max: 0xffff_fffe }),
    modified: fc.oneof(
      fc.integer({ min: -1e10, max: 1e11 }),
      fc.integer({ min: 0, max: 1e9 }).map((ms) => ms / 8),
    ),
  })
  .map(({ type, name: bytes, linkName, content, ...rest }) => ({
    entry: {
      ...rest,
      type,
      name: type === 'directory' ? Buffer.concat([bytes, Buffer.from('/')]) : bytes,
      linkName: type === 'symlink' || type === 'link' ? linkName : Buffer.alloc(0),
      size: type === 'file' ? content.length : 0,
    } satisfies TarEntry,
    content: type === 'file' ? Buffer.from(content) : Buffer.alloc(0),
  }));

function pack(members: readonly { entry: TarEntry; content: Buffer }[]): Buffer {
  const parts = members.flatMap(({ entry, content }) => [tarHeader(entry), content, Buffer.alloc(paddingOf(content.length))]);
  return Buffer.concat([...parts, Buffer.alloc(END_BYTES)]);
}

async function unpack(bytes: Buffer, step: number): Promise<{ entry: TarEntry; content: Buffer }[]> {
  async function* source() {
    for (let from = 0; from < bytes.length; from += step) yield bytes.subarray(from, from + step);
  }
  const members: { entry: TarEntry; content: Buffer }[] = [];
  for await (const { entry, content } of readTar(source())) {
    const parts: Buffer[] = [];
    for await (const part of content) parts.push(part);
    members.push({ entry, content: Buffer.concat(parts) });
  }
  return members;
}

describe('tar', () => {
  it('gives back what was written, in pieces of any size', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(member, { maxLength: 5 }), fc.integer({ min: 1, max: 3000 }), async (members, step) => {
        assert.deepEqual(await unpack(pack(members), step), members);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps a name of digits alone a name, and a size beyond 8 GiB a size', async () => {
    const entry: TarEntry = {
      name: Buffer.from('1'.repeat(200)),
      linkName: Buffer.alloc(0),
      type: 'file',
      size: 2 ** 40,
      mode: 0,
      uid: 0,
      gid: 0,
      modified: 0,
    };
    async function* source() {
      yield tarHeader(entry);
    }
    const first = await readTar(source()).next();
    assert.deepEqual([first.value?.entry.name.toString(), first.value?.entry.size], ['1'.repeat(200), 2 ** 40]);
  });

  it('ends with an error of its own on whatever is no archive', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3000 }), async (bytes) => {
        await unpack(Buffer.from(bytes), 512).then(
          () => assert.ok(bytes.subarray(0, 512).every((byte) => byte === 0)),
          (error: unknown) => assert.ok(isAgentError(error), String(error)),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('ends with an error of its own on an archive with bytes that were changed, or reads it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(member, { minLength: 1, maxLength: 3 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (members, changes) => {
          const bytes = pack(members);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          await unpack(bytes, 700).catch((error: unknown) => assert.ok(isAgentError(error), String(error)));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('refuses a header whose checksum is another', async () => {
    const bytes = tarHeader({
      name: Buffer.from('name'),
      linkName: Buffer.alloc(0),
      type: 'file',
      size: 0,
      mode: 0,
      uid: 0,
      gid: 0,
      modified: 0,
    });
    bytes.write('N', 0);
    await assert.rejects(unpack(bytes, 512), /checksum/);
  });

  it('refuses a header that wants more memory than any name needs', async () => {
    const bomb = tarHeader({
      name: Buffer.from('x'),
      linkName: Buffer.alloc(0),
      type: 'file',
      size: 2 ** 31,
      mode: 0,
      uid: 0,
      gid: 0,
      modified: 0,
    });
    const sum = Number.parseInt(bomb.toString('latin1', 148, 154), 8) + 'L'.charCodeAt(0) - '0'.charCodeAt(0);
    bomb.write('L', 156);
    bomb.write(sum.toString(8).padStart(6, '0'), 148);
    await assert.rejects(unpack(bomb, 512), /a header of 2147483648 bytes/);
  });
});
