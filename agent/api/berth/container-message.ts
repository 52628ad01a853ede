// A container as Berth's API tells of it.
import { berth } from '#proto/berth.js';
import type { Container } from '../../container/container.ts';
import type { ContainerState } from '../../container/state.ts';
import { exitStatus } from '../../process/container-process.ts';

const { State } = berth.v1.Container;

const STATES: Readonly<Record<ContainerState, berth.v1.Container.State>> = {
  created: State.STATE_CREATED,
  running: State.STATE_RUNNING,
  paused: State.STATE_PAUSED,
  stopped: State.STATE_STOPPED,
};

export function containerMessage(container: Container): berth.v1.Container.$Properties {
  const { init } = container;
  return {
    id: container.id,
    state: STATES[container.state],
    pid: init.exit === undefined ? init.identity.pid : 0,
    createdUnixMs: BigInt(container.createdAt),
    startedUnixMs: BigInt(container.startedAt ?? 0),
    args: [...init.args],
    execs: [...container.execs.values()]
      .filter((exec) => exec.exit === undefined)
      .map(({ identity, args }) => ({ id: identity.execId, pid: identity.pid, args: [...args] })),
    exitStatus: init.exit === undefined ? 0 : exitStatus(init.exit),
    labels: { ...container.labels },
    owner: container.owner,
  };
}
