import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { readTerminationLog } from '../../../agent/container/termination-log.ts';
import { hasCode } from '../../../agent/errors.ts';
import { run } from '../native/fixture.ts';

describe('the termination log of a container', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-log-'));
    file = join(folder, 'log');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const annotations = { 'io.kubernetes.container.terminationMessagePath': '/dev/termination-log' };
  const read = (source = file) =>
    readTerminationLog({
      annotations,
      mounts: [
        { destination: '/dev', source: 'tmpfs' },
        { destination: '/dev/termination-log', source },
      ],
    });

  it('is its file, found through the mount that the annotation names', async () => {
    await writeFile(file, 'out of luck\n');
    assert.equal(await read(), 'out of luck\n');
  });

  it('is empty when there is no file', async () => {
    assert.equal(await read(), '');
  });

  it('is the start of a longer file, with no character cut in two', async () => {
    await writeFile(file, `${'é'.repeat(10)}x${'é'.repeat(5000)}`);
    const text = await read();
    assert.equal(text, `${'é'.repeat(10)}x${'é'.repeat(2037)}`.concat('\uFFFD').slice(0, text.length));
    assert.ok(Buffer.byteLength(text) <= 4096);
  });

  it('is never more than 4096 bytes and always text, whatever the file holds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 0, maxLength: 6000 }), async (bytes) => {
        await writeFile(file, bytes);
        const text = await read();
        assert.ok(Buffer.byteLength(text) <= 4096);
        assert.equal(Buffer.from(text).toString(), text);
      }),
      { numRuns: 30 },
    );
  });

  it('that is a pipe, a directory or a link does not hold us up and leads nowhere', async () => {
    const { exit } = await run('/usr/bin/mkfifo', [join(folder, 'pipe')]);
    assert.equal(exit.code, 0);
    await mkdir(join(folder, 'directory'));
    await symlink('/etc/passwd', join(folder, 'link'));
    for (const [name, code] of [
      ['pipe', 'failed_precondition'],
      ['directory', 'failed_precondition'],
      ['link', 'internal'],
    ] as const) {
      await assert.rejects(read(join(folder, name)), (error) => hasCode(error, code), name);
    }
  });

  for (const [title, spec] of [
    ['no annotation', { mounts: [] }],
    ['an empty annotation', { annotations: { 'io.kubernetes.container.terminationMessagePath': '' }, mounts: [] }],
    ['no mount of that name', { annotations, mounts: [{ destination: '/dev', source: '/x' }] }],
  ] as const) {
    it(`is an error with ${title}`, async () => {
      await assert.rejects(readTerminationLog({ ...spec, mounts: [...spec.mounts] }), (error) =>
        hasCode(error, 'failed_precondition'),
      );
    });
  }
});
