// Files of a container and of the guest, through the client that programs use, on a booted guest: content by its hash, over a connection that
// is cut, against a container that works against it. Figures are printed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Code, hasCode } from '../../agent/errors.ts';
import { dial } from '../../agent/transport/dial.ts';
import { parseEndpoint } from '../../agent/transport/endpoint.ts';
import type { Container } from '../../client/api/container.ts';
import { connect, type Guest } from '../../client/api/guest.ts';
import { PipedBerth } from '../support/berth-cli.ts';
import { BreakingProxy } from '../support/breaking-proxy.ts';
import { sharedGuest, type TestGuest } from '../support/guest.ts';

const MIB = 1024 * 1024;
const BYTES = process.env['BERTH_TEST_LONG'] === '1' ? 512 * MIB : 2 * MIB;
/** Writes against a container that swaps a directory for a link; test/unit/guest/files has thousands. */
const ROUNDS = process.env['BERTH_TEST_LONG'] === '1' ? 500 : 8;
const code = (wanted: Code) => (error: unknown) => hasCode(error, wanted);
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

describe('the files of a container', function () {
  this.timeout(120_000);
  let booted: TestGuest;
  let proxy: BreakingProxy;
  let guest: Guest;
  let container: Container;
  let folder: string;

  before(async () => {
    booted = await sharedGuest();
    proxy = await BreakingProxy.start(() => dial(parseEndpoint(booted.guest.address), { timeoutMs: 10_000 }));
    guest = await connect(proxy.address, { name: 'test' });
    container = await guest.create({ rootfs: booted.busybox, args: ['sleep', '1000'] });
    await container.start();
    folder = await mkdtemp(join(tmpdir(), 'berth-files-'));
  });
  after(async () => {
    await container?.remove();
    await guest?.close();
    await proxy?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    proxy.breakAfter = undefined;
  });

  const sh = async (script: string): Promise<string> => {
    await using program = await container.run(['sh', '-c', script]);
    return await program.stdout.text();
  };

  it('are written and read while the connection is cut, each byte once, and are what its programs see', async () => {
    const content = randomBytes(BYTES);
    let cuts = 0;
    async function* source() {
      const step = content.length / 4;
      for (let from = 0; from < content.length; from += step) {
        yield content.subarray(from, from + step);
        if (from % (2 * step) !== 0) continue;
        proxy.cut();
        cuts++;
      }
    }
    const started = performance.now();
    await container.files.write('/data/deep/file', source(), { mode: 0o750, uid: 7, makeParents: true });
    const written = performance.now();
    const share = BYTES / 2;
    const { breaks } = proxy;
    proxy.breakAfter = () => 2000 + Math.floor(Math.random() * share * (proxy.breaks < breaks + 2 ? 1 : 4));
    proxy.cut();
    const hash = createHash('sha256');
    for await (const piece of container.files.read('/data/deep/file')) hash.update(piece);
    const read = performance.now();
    proxy.breakAfter = undefined;
    assert.equal(hash.digest('hex'), sha256(content));
    assert.ok(proxy.breaks > breaks, 'it was cut while it was read');
    assert.match(
      await sh('sha256sum /data/deep/file; stat -c "%a %u %s" /data/deep/file; ls -A /data/deep'),
      new RegExp(`^${sha256(content)} .*\n750 7 ${BYTES}\nfile\n$`),
    );
    const rate = (from: number, to: number) => `${(BYTES / MIB / ((to - from) / 1000)).toFixed(1)} MiB/s`;
    console.log(
      `      ${BYTES / MIB} MiB written at ${rate(started, written)} with ${cuts} cuts, read at ${rate(written, read)}`,
    );
  });

  it('never are those of the guest, whatever links say', async () => {
    await sh(
      'ln -s / /root-link; ln -s ../../../../etc/hostname /up; ln -s /proc/1/root/etc/hostname /magic; mkfifo /pipe; echo own > /etc/hostname',
    );
    await guest.files.write('/tmp/of-the-guest', 'secret', { makeParents: true });
    await assert.rejects(container.files.read('/root-link/tmp/of-the-guest').bytes(), code('not_found'));
    assert.equal(await container.files.read('/up').text(), 'own\n');
    await assert.rejects(container.files.read('/magic').text(), code('failed_precondition'));
    await assert.rejects(container.files.read('/pipe').text(), code('failed_precondition'));
    await container.files.write('/root-link/tmp/of-the-guest', 'of the container', { makeParents: true });
    assert.equal(await guest.files.read('/tmp/of-the-guest').text(), 'secret');
    assert.equal(await sh('cat /tmp/of-the-guest'), 'of the container');
    await guest.files.remove('/tmp/of-the-guest');
  });

  it('are not written elsewhere while a directory is swapped for a link', async () => {
    await guest.files.makeDirectory('/tmp/victim', { makeParents: true });
    await sh('mkdir -p /race/real /tmp/victim');
    const swapping = await container.run([
      'sh',
      '-c',
      'cd /race; while :; do mv real kept; ln -s /proc/1/root/tmp/victim real; rm real; ln -s /tmp/victim real; rm real; mv kept real; done',
    ]);
    const outcomes = { written: 0, refused: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      await container.files.write(`/race/real/file-${round}`, 'x').then(
        () => outcomes.written++,
        (error: unknown) => {
          assert.ok(hasCode(error, 'not_found') || hasCode(error, 'failed_precondition'), String(error));
          outcomes.refused++;
        },
      );
    }
    await swapping[Symbol.asyncDispose]();
    assert.deepEqual(await Array.fromAsync(guest.files.list('/tmp/victim')), []);
    console.log(`      ${outcomes.written} written within the container, ${outcomes.refused} refused`);
    await guest.files.remove('/tmp/victim', { recursive: true });
  });

  it('go in and out as a tar archive', async () => {
    execFileSync(
      'sh',
      ['-c', 'mkdir -p tree/sub; head -c 300000 /dev/urandom > tree/file; ln -s ../file tree/sub/link; ln tree/file tree/hard'],
      {
        cwd: folder,
      },
    );
    execFileSync('tar', ['-cf', 'tree.tar', '-C', 'tree', '.'], { cwd: folder });
    await container.files.tarIn('/tree', createReadStream(join(folder, 'tree.tar')), { makeParents: true });
    assert.equal(
      await sh('cd /tree; sha256sum file hard sub/link | cut -c -64 | sort -u | wc -l; readlink sub/link'),
      '1\n../file\n',
    );
    await writeFile(join(folder, 'out.tar'), container.files.tarOut('/tree'));
    execFileSync('sh', ['-c', 'mkdir out; tar -xf out.tar -C out; diff -r --no-dereference tree out'], { cwd: folder });
  });

  it('are copied by `berth cp`', async () => {
    const cli = async (...args: string[]) => {
      const ended = await new PipedBerth(['cp', '--address', booted.guest.address, ...args]).finished();
      assert.deepEqual([ended.stderr, ended.status], ['', 0]);
      return ended;
    };
    await writeFile(join(folder, 'script'), '#!/bin/sh\necho copied\n', { mode: 0o755 });
    await cli(join(folder, 'script'), `${container.id}:/bin-of-mine`);
    assert.equal(await sh('/bin-of-mine'), 'copied\n');
    await cli(`${container.id}:/etc/hostname`, join(folder, 'hostname'));
    assert.equal(await readFile(join(folder, 'hostname'), 'utf8'), 'own\n');
    assert.match((await cli(`${container.id}:/etc/hostname`, '-')).stdout, /^own$/m);
  });

  it('are watched', async () => {
    const seen: string[] = [];
    for await (const change of container.files.watch('/data', { recursive: true })) {
      if (change.kind === 'watching') await sh('echo x > /data/deep/new; mv /data/deep/new /data/moved');
      if ('path' in change) seen.push(`${change.kind} ${change.path}`);
      if (change.kind === 'moved') break;
    }
    assert.ok(seen.includes('created deep/new') && seen.includes('moved deep/new'), seen.join(', '));
  });

  it('are out of reach once it has ended, and what was open is let go of', async () => {
    const other = await guest.create({ rootfs: booted.busybox, args: ['sleep', '1000'] });
    await other.start();
    const changes = other.files.watch('/tmp');
    assert.equal((await changes.next()).value?.kind, 'watching');
    await (await other.init()).kill('KILL');
    await assert.rejects(changes.next(), code('failed_precondition'));
    await assert.rejects(other.files.stat('/'), code('failed_precondition'));
    await other.remove();
    await assert.rejects(other.files.stat('/'), code('not_found'));
  });
});
