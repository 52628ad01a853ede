// The command-line table against the loader that the agent starts with.
import assert from 'node:assert/strict';
import { defaultConfig } from '../../../agent/config/config.ts';
import { loadConfig } from '../../../agent/config/load.ts';
import { isAgentError } from '../../../agent/errors.ts';
import { cmdlineRows } from '../../conformance/command-line-rows.ts';
import { commandLines } from '../../conformance/command-lines.ts';

const asData = (value: unknown) => (typeof value === 'bigint' ? String(value) : value);

describe('the table of kernel command lines', () => {
  for (const { id, cmdline, environment = {}, files = {}, configFile, config, refused } of commandLines) {
    const load = () =>
      loadConfig(configFile === undefined ? {} : { configFile }, environment, (path) => {
        const text = path === '/proc/cmdline' ? cmdline : files[path];
        if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
        return text;
      });

    it(`holds in ${id}`, async () => {
      assert.ok((config === undefined) !== (refused === undefined), 'either a configuration or a refusal');
      if (refused !== undefined) {
        await assert.rejects(load, (error) => isAgentError(error) && new RegExp(refused).test(error.message));
        return;
      }
      const loaded = Object.entries((await load()).config).filter(
        ([name, value]) => value !== (defaultConfig as unknown as Record<string, unknown>)[name],
      );
      assert.deepEqual(Object.fromEntries(loaded.map(([name, value]) => [name, asData(value)])), config);
    });
  }

  it('is nothing but data', () => {
    for (const data of [commandLines, cmdlineRows]) assert.deepEqual(JSON.parse(JSON.stringify(data)), data);
  });
});
