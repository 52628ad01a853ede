// crun without the agent: a second container like one of the agent's, made and used by crun's command line alone.
import type { RawServer } from './raw-server.ts';

const CRUN = ['/usr/bin/crun', '--root', '/run/berth-bench/crun', '--cgroup-manager', 'disabled'];

/**
 * Runs the container `id` of the agent a second time, beside it: same configuration and root. It stays in the
 * caller's cgroup, which a container cannot leave from inside: the bare figure lacks the move into one, to our disadvantage.
 * Returns the command that execs /bin/true in it.
 */
export async function bareExec(raw: RawServer, id: string): Promise<string[]> {
  const script = `
set -e
mkdir -p /run/berth-bench/bundle
cp /run/berth/crun/${id}/config.json /run/berth-bench/bundle/config.json
${CRUN.join(' ')} run --detach --bundle /run/berth-bench/bundle bare < /dev/null > /dev/null`;
  await raw.time(['/bin/sh', '-c', script], 1);
  return [...CRUN, 'exec', 'bare', '/bin/true'];
}
