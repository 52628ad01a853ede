// A shell in the guest that stays, by nothing but Kata's own RPCs: a container whose root is the guest's. It tells what an agent has
// done and what it has left behind.
import type { Data } from '../case.ts';
import { TEMPLATES } from '../templates.ts';
import { expand } from './expand.ts';
import type { Outcome, Target } from './target.ts';

const MARK = '<<conformance>>';
const READ_BYTES = 64 * 1024;
const MAX_PRINTED_BYTES = 1024 * 1024;

export interface Printed {
  readonly text: string;
  readonly status: number;
}

export class GuestShell {
  readonly #target: Target;
  readonly containerId: string;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(target: Target, containerId: string) {
    this.#target = target;
    this.containerId = containerId;
  }

  /** Over a connection of its own, which stays the caller's. */
  static async start(target: Target, containerId: string): Promise<GuestShell> {
    const request: Data = { $like: 'guest-program', container_id: containerId };
    succeeded('CreateContainer', await target.call('CreateContainer', expand(request, new Map(), TEMPLATES)));
    succeeded('StartContainer', await target.call('StartContainer', { container_id: containerId }));
    return new GuestShell(target, containerId);
  }

  /** Runs a script of sh(1); scripts run one after the other. */
  run(script: string): Promise<Printed> {
    const done = this.#turn.then(() => this.#run(script));
    this.#turn = done.catch(() => {});
    return done;
  }

  async remove(): Promise<void> {
    await this.#turn;
    succeeded('RemoveContainer', await this.#target.call('RemoveContainer', { container_id: this.containerId }));
  }

  async #run(script: string): Promise<Printed> {
    const address = { container_id: this.containerId, exec_id: '' };
    const quoted = `'${script.replaceAll("'", "'\\''")}'`;
    const line = `( eval ${quoted} ) </dev/null 2>&1; printf '\\n%s %d\\n' '${MARK}' $?\n`;
    succeeded('WriteStdin', await this.#target.call('WriteStdin', { ...address, data: Buffer.from(line) }));
    let text = '';
    while (text.length < MAX_PRINTED_BYTES) {
      const { data } = succeeded('ReadStdout', await this.#target.call('ReadStdout', { ...address, len: READ_BYTES }));
      if ((data as Buffer).length === 0) throw new Error(`the guest's shell has ended: ${text}`);
      text += (data as Buffer).toString('latin1');
      const end = new RegExp(`\\n${MARK} (\\d+)\\n$`).exec(text);
      if (end) return { text: Buffer.from(text.slice(0, end.index), 'latin1').toString(), status: Number(end[1]) };
    }
    throw new Error(`a script in the guest printed more than ${MAX_PRINTED_BYTES} bytes: ${script}`);
  }
}

function succeeded(what: string, outcome: Outcome) {
  if ('reply' in outcome) return outcome.reply;
  throw new Error(`${what} for the guest's shell: ${outcome.code} ${outcome.text}`);
}
