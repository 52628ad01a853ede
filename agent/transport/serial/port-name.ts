// The name by which an agent that is told nothing knows its port; who starts the VM gives the port that name.
export const DEFAULT_PORT = 'org.berth.agent.0';
