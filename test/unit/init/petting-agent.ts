// An agent as the watchdog sees it: it pets berth-init through a keeper of its own, and in its first life stops doing so in the way that
// it is told. argv: what happens to it after a while, the file that each life writes its name to.
import { appendFileSync, readFileSync } from 'node:fs';
import { connectKeeper } from '../../../agent/keeper/keeper.ts';
import { silentLogger } from '../../../agent/log.ts';

const [, , fate, file] = process.argv;
const keeper = connectKeeper(Number(process.env['BERTH_KEEPER_FD']), silentLogger);
appendFileSync(file!, `${keeper.generation}\n`);
const hold = setInterval(() => {}, 1000);
const hoard: string[] = [];

function suffer(): void {
  if (fate === 'blocks') for (;;) readFileSync(file!);
  if (fate === 'stops') process.kill(process.pid, 'SIGSTOP');
  if (fate === 'fills its heap') for (;;) hoard.push(`${hoard.length}`.padEnd(100, '.').split('').join('-'));
  if (fate === 'disconnects') keeper.close();
}
if (keeper.generation === 1) setTimeout(suffer, 300);
process.on('SIGTERM', () => {
  clearInterval(hold);
  process.exit(0);
});
