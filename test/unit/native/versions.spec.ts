// One berth.node for every Node: it asks for nothing but Node-API 9, libuv and the C library.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const ADDON = process.env['BERTH_ADDON'] ?? join(import.meta.dirname, '../../../build/native/berth.node');

/** The Node this runs on, and every other one that can be found. */
function nodes(): string[] {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  const found = folders.map((folder) => join(folder, 'node')).filter((path) => existsSync(path));
  return [...new Set([process.execPath, ...found].map((path) => realpathSync(path)))];
}

describe('native addon', () => {
  for (const node of nodes()) {
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    it(`loads and watches a child in Node ${version}`, () => {
      const script = `
        const addon = require(${JSON.stringify(ADDON)});
        const child = addon.spawn({ file: '/bin/sh', args: ['sh', '-c', 'exit 3'], env: [], fds: [] });
        addon.watchChild(child.pidfd, ({ code }) => { addon.close(child.pidfd); console.log(code, Object.keys(addon).length); });`;
      const [code, verbs] = execFileSync(node, ['-e', script], { encoding: 'utf8' }).trim().split(' ').map(Number);
      assert.equal(code, 3);
      assert.ok(verbs! > 30);
    });
  }

  it('needs no C++ library on the machine it runs on', function () {
    if (process.env['BERTH_ADDON']) return this.skip(); // a variant
    const needed = execFileSync('readelf', ['--dynamic', ADDON], { encoding: 'utf8' }).match(/\(NEEDED\).*\[(.*)\]/g) ?? [];
    assert.ok(
      needed.length > 0 && needed.every((line) => /\[(libc\.so\.6|ld-linux-[\w-]+\.so\.\d|libm\.so\.6)\]/.test(line)),
      needed.join(),
    );
  });

  it('takes from Node only Node-API and libuv', () => {
    const symbols = execFileSync('nm', ['--dynamic', '--undefined-only', ADDON], { encoding: 'utf8' });
    const foreign = symbols.split('\n').filter((line) => /\b(_ZN2v8|_ZN4node|node_|v8_)/.test(line));
    assert.deepEqual(foreign, []);
    assert.match(symbols, /\bU napi_create_function/);
  });
});
