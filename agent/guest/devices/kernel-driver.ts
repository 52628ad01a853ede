// Drivers for hardware that was not there when the guest came up. No udev runs here that would load them.
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode, isErrno } from '../../errors.ts';
import { runTool } from '../../process/tool.ts';

const TIMEOUT_MS = 10_000;

/** Asks for the driver of a device that has none, by what the device says it is (`modalias`). None to be had is fine. */
export async function loadDriver(device: string, run: typeof runTool = runTool): Promise<void> {
  if (await exists(join(device, 'driver'))) return;
  let alias: string;
  try {
    alias = (await readFile(join(device, 'modalias'), 'latin1')).trim();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    throw error;
  }
  if (/^[\w:*.-]{1,512}$/.test(alias)) await probe(alias, run);
}

/** Loads modules that are not there yet, and does not mind a kernel that has them built in or not at all. */
export async function loadModules(names: readonly string[], sysDir: string, run: typeof runTool = runTool): Promise<void> {
  for (const name of names) {
    if (!(await exists(join(sysDir, 'module', name.replaceAll('-', '_'))))) await probe(name, run);
  }
}

async function probe(name: string, run: typeof runTool): Promise<void> {
  try {
    await run('modprobe', ['-q', '--', name], { timeoutMs: TIMEOUT_MS });
  } catch (error) {
    // The device then does not come, and that is told with its name.
    if (!hasCode(error, 'internal') && !hasCode(error, 'not_found')) throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
