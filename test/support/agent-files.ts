// The real agent on this machine, a client of it, and a folder of this machine for each test of files.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Guest } from '../../client/api/guest.ts';
import { type NativeTestAgent, startNativeAgent } from './native-agent.ts';

export class AgentFiles {
  #agent: NativeTestAgent | undefined;
  #guest: Guest | undefined;
  #folder = '';

  /** Call it within `describe`: the agent is started once, the folder made for each test. */
  static forTests(): AgentFiles {
    const files = new AgentFiles();
    before(async () => {
      files.#agent = await startNativeAgent();
      files.#guest = await connect(files.#agent.address);
    });
    after(async () => {
      await files.#guest?.close();
      await files.#agent?.[Symbol.asyncDispose]();
    });
    beforeEach(async () => {
      files.#folder = await mkdtemp(join(tmpdir(), 'berth-files-'));
    });
    afterEach(() => rm(files.#folder, { recursive: true, force: true }));
    return files;
  }

  get address(): string {
    return this.#agent!.address;
  }

  get guest(): Guest {
    return this.#guest!;
  }

  get folder(): string {
    return this.#folder;
  }

  /** A path in the folder. */
  at(name: string): string {
    return join(this.#folder, name);
  }
}
