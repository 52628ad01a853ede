// What berth-init runs as the agent in its tests: hands its keeper socket over to the test and runs what it is told to.
// argv: the path of the test's Unix socket.
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { native } from '../../../native/index.ts';
import type { StubCommand, StubReply } from './supervised.ts';

const socket = connect(process.argv[2]!);
socket.once('connect', () => {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const { pid, env } = process;
  const hello = {
    pid,
    generation: env['BERTH_GENERATION'],
    keeperFd: env['BERTH_KEEPER_FD'],
    uptimeMs: env['BERTH_INIT_UPTIME_MS'],
  };
  native().sendFds(fd, Buffer.from(`${JSON.stringify(hello)}\n`), [3]);
});
createInterface({ input: socket }).on('line', (line) => {
  const command = JSON.parse(line) as StubCommand;
  if (command.exit !== undefined) process.exit(command.exit);
  execFile('/bin/sh', ['-c', command.sh!], { maxBuffer: 1 << 24 }, (error, stdout) => {
    const reply: StubReply = { id: command.id, stdout, failed: error?.message };
    socket.write(`${JSON.stringify(reply)}\n`);
  });
});
process.on('SIGTERM', () => process.exit(0));
