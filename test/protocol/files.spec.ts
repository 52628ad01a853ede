// Files of berth.v1 read and written, end to end: the real agent on this machine, real files, connections that are cut.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { berth } from '#proto/berth.js';
import { type Code, hasCode } from '../../agent/errors.ts';
import { connect, type Guest } from '../../client/api/guest.ts';
import { Link } from '../../client/api/link.ts';
import { FILES } from '../../client/api/methods.ts';
import { AgentFiles } from '../support/agent-files.ts';
import { BreakingProxy } from '../support/breaking-proxy.ts';

const MIB = 1024 * 1024;
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const code = (wanted: Code) => (error: unknown) => hasCode(error, wanted);

describe('the files of berth.v1', function () {
  this.timeout(60_000);
  const files = AgentFiles.forTests();

  /** A client whose connection breaks after so many bytes to it, again and again. */
  async function breakingGuest(breakAfter: () => number): Promise<{ guest: Guest; proxy: BreakingProxy } & AsyncDisposable> {
    const proxy = await BreakingProxy.start(async () => {
      const socket = net.connect(files.address.slice('unix://'.length));
      await once(socket, 'connect');
      return socket;
    });
    const own = await connect(proxy.address);
    proxy.breakAfter = breakAfter;
    proxy.cut();
    return {
      guest: own,
      proxy,
      [Symbol.asyncDispose]: async () => {
        await own.close();
        await proxy[Symbol.asyncDispose]();
      },
    };
  }

  describe('read and written', () => {
    it('come whole, with what is told of them', async () => {
      const content = randomBytes(3 * MIB + 17);
      const info = await files.guest.files.write(files.at('file'), content, { mode: 0o640 });
      assert.deepEqual([info.name, info.type, info.size, info.mode], ['file', 'regular', BigInt(content.length), 0o640]);
      assert.ok(content.equals(await readFile(files.at('file'))));
      assert.ok(content.equals(await files.guest.files.read(files.at('file')).bytes()));
      assert.equal((await files.guest.files.sha256(files.at('file'))).toString('hex'), sha256(content));
      assert.equal((await files.guest.files.stat(files.at('file'))).identity, info.identity);
    });

    it('of no bytes are files too', async () => {
      await files.guest.files.write(files.at('empty'), '');
      assert.equal((await files.guest.files.read(files.at('empty')).bytes()).length, 0);
      assert.equal((await stat(files.at('empty'))).mode & 0o7777, 0o644);
    });

    it('from an offset, so many bytes, and nothing beyond the end', async () => {
      await writeFile(files.at('file'), '0123456789');
      assert.equal(await files.guest.files.read(files.at('file'), { offset: 2, length: 3 }).text(), '234');
      assert.equal(await files.guest.files.read(files.at('file'), { offset: 8, length: 30 }).text(), '89');
      assert.equal(await files.guest.files.read(files.at('file'), { offset: 100 }).text(), '');
    });

    it('of a size that is not told: those of /proc', async () => {
      assert.match(await files.guest.files.read('/proc/version').text(), /^Linux version/);
    });

    it('keep set-id bits where they are asked for', async () => {
      await files.guest.files.write(files.at('file'), 'x', { mode: 0o6755, uid: 12, gid: 34 });
      const { mode, uid, gid } = await stat(files.at('file'));
      assert.deepEqual([mode & 0o7777, uid, gid], [0o6755, 12, 34]);
    });

    it('go on where the connection broke, each byte once', async () => {
      const content = randomBytes(12 * MIB);
      await writeFile(files.at('file'), content);
      await using own = await breakingGuest(() => 300_000 + Math.floor(Math.random() * 2_000_000));
      const read = await own.guest.files.read(files.at('file')).bytes();
      assert.ok(own.proxy.breaks >= 3, `${own.proxy.breaks} breaks`);
      assert.ok(content.equals(read));
    });

    it('are uploaded on where the connection broke, each byte once', async () => {
      const content = randomBytes(24 * MIB);
      await using own = await breakingGuest(() => Number.POSITIVE_INFINITY);
      let cuts = 0;
      async function* source() {
        for (let from = 0; from < content.length; from += 100_000) {
          yield content.subarray(from, from + 100_000);
          if (from % 4_000_000 !== 0) continue;
          own.proxy.cut();
          cuts++;
        }
      }
      await own.guest.files.write(files.at('file'), source());
      assert.equal(cuts, 7);
      assert.ok(content.equals(await readFile(files.at('file'))));
      assert.deepEqual(await readdir(files.folder), ['file']);
    });
  });

  describe('refused', () => {
    it('are what is no regular file, and nobody waits for its other end', async () => {
      execFileSync('mkfifo', [files.at('pipe')]);
      for (const path of [files.at('pipe'), '/dev/zero', '/dev/ptmx', files.folder]) {
        await assert.rejects(files.guest.files.read(path).bytes(), code('failed_precondition'), path);
      }
    });

    it('are the links of /proc that are none of the file system', async () => {
      await symlink('/proc/self/root/etc', files.at('magic'));
      for (const path of ['/proc/self/root/etc/passwd', '/proc/self/cwd', '/proc/self/fd/0', files.at('magic/hostname')]) {
        await assert.rejects(files.guest.files.read(path).bytes(), code('failed_precondition'), path);
      }
    });

    it('are paths that are not absolute, hold `..`, or are too long, by the name of the field', async () => {
      for (const path of ['etc/passwd', '/a/../etc/passwd', `/${'x/'.repeat(3000)}`, '', '/a\0b', `/tmp/${'x'.repeat(300)}`]) {
        await assert.rejects(
          files.guest.files.stat(path),
          (error) => hasCode(error, 'invalid_argument') && error.fields['field'] === 'path',
          path,
        );
      }
    });

    it('is a content that is not what was sent: what had the name stays, and nothing else is left', async () => {
      await writeFile(files.at('file'), 'old');
      const call = writeCall(files.at('file'), [Buffer.from('new')], { sha256: Buffer.alloc(32, 1), size: 3n });
      await assert.rejects(call, code('data_loss'));
      await assert.rejects(writeCall(files.at('file'), [Buffer.from('new')], { size: 4n }), code('data_loss'));
      assert.equal(await readFile(files.at('file'), 'utf8'), 'old');
      assert.deepEqual(await readdir(files.folder), ['file']);
    });

    it('are bytes beyond a hole', async () => {
      const link = await Link.open(files.address);
      const stream = await link.stream(FILES.write);
      await stream.send({ begin: { path: { path: files.at('file') } } });
      await stream.send({ chunk: { offset: 10n, data: Buffer.from('x') } });
      await assert.rejects(Array.fromAsync(stream), code('out_of_range'));
      await link.close();
    });

    it('is a file that is there, where it must not be', async () => {
      await writeFile(files.at('file'), 'old');
      await assert.rejects(files.guest.files.write(files.at('file'), 'new', { exclusive: true }), code('already_exists'));
      await files.guest.files.write(files.at('other'), 'new', { exclusive: true });
      assert.equal(await readFile(files.at('file'), 'utf8'), 'old');
    });

    it('is a file that has come while it was uploaded, where it must not be', async () => {
      async function* source() {
        yield Buffer.from('new');
        await writeFile(files.at('file'), 'old');
      }
      await assert.rejects(files.guest.files.write(files.at('file'), source(), { exclusive: true }), code('already_exists'));
      assert.equal(await readFile(files.at('file'), 'utf8'), 'old');
    });

    it('is a file that changes while it is read, unless that is expected', async () => {
      await writeFile(files.at('log'), Buffer.alloc(4 * MIB, 'a'));
      const reading = async (mayChange: boolean) => {
        let length = 0;
        for await (const piece of files.guest.files.read(files.at('log'), { mayChange })) {
          if (length === 0) await appendFile(files.at('log'), 'more');
          length += piece.length;
        }
        return length;
      };
      await assert.rejects(reading(false), code('aborted'));
      assert.equal(await reading(true), 4 * MIB + 8);
    });

    it('are more bytes than there is room for, and nothing of them is left', async () => {
      const mount = files.at('small');
      await mkdir(mount);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', mount]);
      try {
        await writeFile(join(mount, 'file'), 'old');
        const refused = (error: unknown) => hasCode(error, 'resource_exhausted') && error.fields['berth-errno'] === 'ENOSPC';
        await assert.rejects(files.guest.files.write(join(mount, 'file'), Buffer.alloc(3 * MIB)), refused);
        assert.deepEqual(await readdir(mount), ['file']);
        assert.equal(await readFile(join(mount, 'file'), 'utf8'), 'old');
        await files.guest.files.write(join(mount, 'file'), Buffer.alloc(900 * 1024));
      } finally {
        execFileSync('umount', [mount]);
      }
    });
  });

  it('are written from chunks that overlap, each byte once', async () => {
    const one = await Link.open(files.address);
    const stream = await one.stream(FILES.write);
    await stream.send({ begin: { path: { path: files.at('file') } } });
    for (const [offset, text] of [
      [0n, 'abc'],
      [1n, 'bcd'],
      [0n, 'ab'],
      [4n, 'ef'],
    ] as const) {
      await stream.send({ chunk: { offset, data: Buffer.from(text) } });
    }
    await stream.send({ finish: { size: 6n } });
    await Array.fromAsync(stream);
    await one.close();
    assert.equal(await readFile(files.at('file'), 'utf8'), 'abcdef');
  });

  it('that nobody reads on hold up nothing else of the same program', async () => {
    await writeFile(files.at('large'), Buffer.alloc(8 * MIB, 'x'));
    const stopped = [];
    for (let number = 0; number < 12; number++) {
      const reading = files.guest.files.read(files.at('large'))[Symbol.asyncIterator]();
      await reading.next();
      stopped.push(reading);
    }
    await using program = await files.guest.run(['head', '-c', '3000000', '/dev/zero']);
    assert.equal((await program.stdout.bytes()).length, 3_000_000);
    assert.equal((await files.guest.files.read(files.at('large')).bytes()).length, 8 * MIB);
    for (const reading of stopped) await reading.return(undefined);
  });

  it('of a source that fails leave nothing', async () => {
    async function* source() {
      yield Buffer.alloc(MIB);
      throw new Error('the source has failed');
    }
    await assert.rejects(files.guest.files.write(files.at('file'), source()), /the source has failed/);
    assert.deepEqual(await readdir(files.folder), []);
  });

  it('are replaced, and not what a link of their name leads to', async () => {
    await writeFile(files.at('target'), 'target');
    await symlink('target', files.at('link'));
    await link(files.at('target'), files.at('hard'));
    await files.guest.files.write(files.at('link'), 'new');
    await files.guest.files.write(files.at('hard'), 'new');
    assert.equal(await readFile(files.at('target'), 'utf8'), 'target');
    assert.equal((await files.guest.files.stat(files.at('link'), { noFollow: true })).type, 'regular');
  });

  it('are written by one call at a time: whoever comes with the key goes on, the earlier call is told', async () => {
    const one = await Link.open(files.address);
    const first = await one.stream(FILES.write);
    const begin = { path: { path: files.at('file') }, key: 'a key' };
    await first.send({ begin });
    await first.send({ chunk: { offset: 0n, data: Buffer.from('begun ') } });
    const replies = first[Symbol.asyncIterator]();
    await replies.next();
    await sleep(100);
    const second = await one.stream(FILES.write);
    await second.send({ begin });
    const told = second[Symbol.asyncIterator]();
    assert.equal((await told.next()).value?.offset, 6n);
    await assert.rejects(replies.next(), code('aborted'));
    await second.send({ chunk: { offset: 6n, data: Buffer.from('done') } });
    await second.send({ finish: { size: 10n } });
    assert.equal((await told.next()).value?.info?.name, 'file');
    assert.equal(await readFile(files.at('file'), 'utf8'), 'begun done');
    const third = await one.stream(FILES.write);
    await third.send({ begin });
    assert.equal((await third[Symbol.asyncIterator]().next()).value?.info?.size, 10n, 'one that is finished is told again');
    const other = await one.stream(FILES.write);
    await other.send({ begin: { ...begin, path: { path: files.at('other') } } });
    await assert.rejects(Array.fromAsync(other), code('failed_precondition'));
    await one.close();
  });

  async function writeCall(path: string, chunks: Buffer[], finish: berth.v1.WriteFileRequest.Finish.$Properties) {
    const one = await Link.open(files.address);
    const stream = await one.stream(FILES.write);
    await stream.send({ begin: { path: { path } } });
    let offset = 0n;
    for (const data of chunks) {
      await stream.send({ chunk: { offset, data } });
      offset += BigInt(data.length);
    }
    await stream.send({ finish });
    return Array.fromAsync(stream).finally(() => one.close());
  }
});
