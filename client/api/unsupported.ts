// What an agent cannot do that this client can, known before anything is sent.
import { AgentError } from '../../agent/errors.ts';
import { version } from '../version.ts';

/** What an agent announces when it says hello (FEATURES in agent/api/berth/agent.ts). */
export type Feature =
  | 'processes'
  | 'attach'
  | 'containers'
  | 'events'
  | 'leases'
  | 'keys'
  | 'sessions'
  | 'tunnels'
  | 'top'
  | 'files'
  | 'upgrade';

/**
 * The agent in this guest is older than what was asked of it, or is no Berth: nothing has been sent, and nothing has happened in the guest.
 * The code is `unimplemented`.
 */
export class UnsupportedError extends AgentError {
  /** What it would have needed: a name of `guest.hello.features`, or `berth.v1` for an agent without this API. */
  readonly feature: string;
  /** Empty when the agent told none. */
  readonly agentVersion: string;
  /** What helps. */
  readonly remedy: string;

  /** @internal */
  constructor(feature: Feature | 'berth.v1', agentVersion: string) {
    const agent = agentVersion === '' ? 'the agent in this guest' : `the agent ${agentVersion} in this guest`;
    const remedy = `boot the guest from an image of Berth ${version}${feature === 'berth.v1' ? ", or speak Kata's API to it" : ''}`;
    super('unimplemented', `${agent} has no ${feature}: ${remedy}`, { fields: { feature, agent: agentVersion, remedy } });
    this.feature = feature;
    this.agentVersion = agentVersion;
    this.remedy = remedy;
  }
}
