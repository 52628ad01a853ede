// What this build calls itself. The bundler puts the commit in.

declare const BERTH_COMMIT: string | undefined;

/** Kept equal to package.json by a test. */
export const AGENT_VERSION = '0.1.0';
/** Commit the agent was built from. */
export const AGENT_COMMIT: string = typeof BERTH_COMMIT === 'string' ? BERTH_COMMIT : 'unknown';
/** What Kata's clients are told; they expect a number like Kata's own (kata-agent.md §2.5). */
export const KATA_VERSION = '4.1.0';
