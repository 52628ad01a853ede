// Runs one case: its way there, its steps, what they left, the cleaning up, and whether anything stays behind.
import type { ConformanceCase, Step } from '../case.ts';
import { CaseRun } from './case-run.ts';
import type { Session } from './session.ts';
import { change, describeChange, look, settled } from './trace.ts';

/** What a case that failed says: one line a fault. */
export class CaseFailure extends Error {
  override readonly name = 'CaseFailure';
}

/** @throws CaseFailure with everything that was not as the case says */
export async function runCase(session: Session, each: ConformanceCase): Promise<void> {
  if (each.alone || each.ends) await session.withdraw();
  else if (JSON.stringify(each).includes('%{shared}')) await session.share();
  const run = new CaseRun(session);
  const faults: string[] = [];
  const attempt = async (what: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      faults.push(`${what}${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  };
  if (each.alone || each.ends) {
    const done = await attempt('', () => steps(run, [...(each.given ?? []), ...each.steps]));
    if (each.ends && done) await session.abandon();
    else await cleanUp(session, run, each, attempt);
  } else {
    await observed(session, run, each, attempt);
  }
  if (faults.length > 0) throw new CaseFailure(`${each.id} over ${session.protocol}:\n  ${faults.join('\n  ')}`);
}

type Attempt = (what: string, work: () => Promise<void>) => Promise<boolean>;

async function observed(session: Session, run: CaseRun, each: ConformanceCase, attempt: Attempt): Promise<void> {
  const shell = await session.shell();
  const start = await session.trace();
  // What a refused call may have left is seen by the look after the cleaning up as well, where there is nothing to clean up.
  const refused = each.kind === 'bad-input' && (each.given !== undefined || each.finally !== undefined);
  await attempt('', async () => {
    await steps(run, each.given ?? []);
    const before = each.given && (refused || each.leaves) ? await look(shell) : start;
    await steps(run, each.steps);
    if (refused) {
      const { left } = await settled(shell, before, { fds: false });
      if (left.came.length + left.went.length > 0) throw new Error(`a refused call changed the guest: ${describeChange(left)}`);
    }
    if (each.leaves === undefined) return;
    const { came } = change(before, await look(shell));
    for (const pattern of each.leaves) {
      const wanted = new RegExp(`^${String(run.expand(pattern))}$`);
      if (!came.some((line) => wanted.test(line)))
        throw new Error(`${wanted} is not left; came: ${came.join('; ') || 'nothing'}`);
    }
  });
  await cleanUp(session, run, each, attempt);
  const { trace, left } = await settled(shell, start, { fds: true });
  session.keep(trace);
  await attempt('', async () => {
    if (left.came.length + left.went.length > 0) throw new Error(`left behind: ${describeChange(left)}`);
  });
}

async function cleanUp(session: Session, run: CaseRun, each: ConformanceCase, attempt: Attempt): Promise<void> {
  await attempt('clean up: ', () => run.removeContainers());
  // A look at the guest in between has brought the shell back.
  if (each.alone) await attempt('clean up: ', () => session.withdraw());
  await attempt('clean up: ', () => steps(run, each.finally ?? []));
  await attempt('clean up: ', () => run.hangUp());
}

async function steps(run: CaseRun, list: readonly Step[]): Promise<void> {
  for (const [at, step] of list.entries()) {
    try {
      await run.step(step);
    } catch (error) {
      throw new Error(
        `step ${at + 1} (${Object.keys(step)[0]} ${Object.values(step)[0]}): ${error instanceof Error ? error.message : error}`,
      );
    }
  }
}
