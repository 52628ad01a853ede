// The numbers of the signals that the agent itself sends (man 7 signal; the same on every architecture Linux runs Node on).
export const SIGKILL = 9;
export const SIGTERM = 15;
