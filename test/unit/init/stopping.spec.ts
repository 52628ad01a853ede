// How berth-init ends: by a message of the agent, by a signal, or with the agent.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { encodePowerOff } from '../../../agent/keeper/wire.ts';
import { untilDead, untilGone } from './processes.ts';
import { RawKeeper } from './raw-keeper.ts';
import { BUILDS, binaryOf, Supervised } from './supervised.ts';

for (const build of BUILDS) {
  describe(`the end of ${build.name}`, function () {
    this.timeout(60_000);
    let binary: string;
    let init: Supervised;

    before(async () => {
      binary = await binaryOf(build);
    });
    afterEach(() => init?.stop());

    /** Runs a shell script as the agent, to the end of init. */
    async function run(options: readonly string[], script: string): Promise<{ code: number; stdout: string; stderr: string }> {
      const child = spawn(binary, [...options, '--', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
      const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
      return { code: code as number, stdout, stderr };
    }

    it('waits for the agent that asked for power-off, then exits 0', async () => {
      init = await Supervised.start(binary);
      const agent = await init.agent();
      agent.keeper.powerOff();
      await agent.sh('sleep 0.2');
      assert.equal(init.process.exitCode, null);
      agent.exit(7);
      assert.deepEqual(await init.exit(), { code: 0, signal: null });
    });

    it('hears a power-off whose agent exits with the next instruction, or is killed', async () => {
      for (const end of ['exit', 'kill'] as const) {
        init = await Supervised.start(binary);
        const agent = await init.agent();
        process.kill(init.process.pid!, 'SIGSTOP');
        new RawKeeper(agent.keeperFd).trySend(encodePowerOff());
        if (end === 'exit') agent.exit(0);
        else agent.kill();
        await untilDead(agent.hello.pid);
        process.kill(init.process.pid!, 'SIGCONT');
        assert.deepEqual(await init.exit(), { code: 0, signal: null });
        await init.stop();
      }
    });

    it('kills an agent that asked for power-off and stays', async () => {
      init = await Supervised.start(binary, ['--stop-grace', '300']);
      const agent = await init.agent();
      agent.keeper.powerOff();
      assert.deepEqual(await init.exit(), { code: 0, signal: null });
      assert.match(init.stderr, /the agent did not stop within 300 ms; killing it/);
      await untilGone(agent.hello.pid);
    });

    it('passes SIGTERM on, waits for the agent, and exits with its code', async () => {
      init = await Supervised.start(binary);
      const agent = await init.agent();
      init.process.kill('SIGTERM');
      assert.deepEqual(await init.exit(), { code: 0, signal: null });
      await untilGone(agent.hello.pid);
      const stubborn = run(['--stop-grace', '200'], `trap '' TERM; kill -TERM $PPID; while :; do sleep 0.05; done`);
      assert.equal((await stubborn).code, 137);
    });

    it('ends a wait for the next start when it is told to stop', async () => {
      const child = spawn(binary, ['--max-delay', '60000', '--', 'sh', '-c', 'exit 1'], { stdio: ['ignore', 'ignore', 'pipe'] });
      const stderr = text(child.stderr);
      // The tenth pause would be half a minute; by the fourth we are in a pause for sure.
      await new Promise((resolve) => setTimeout(resolve, 600));
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
      assert.doesNotMatch(await stderr, /giving up/);
    });

    it('passes other signals on and stays', async () => {
      const script = `for s in HUP USR1 USR2 WINCH QUIT INT; do trap "echo $s" $s; done; 
        for s in HUP USR1 USR2 WINCH QUIT INT; do kill -$s $PPID; sleep 0.2; done; exit 4`;
      const { code, stdout } = await run(['--no-restart'], script);
      assert.deepEqual([stdout.trim().split('\n'), code], [['HUP', 'USR1', 'USR2', 'WINCH', 'QUIT', 'INT'], 4]);
    });

    it('takes the exit code of the agent for its own with --no-restart', async () => {
      assert.equal((await run(['--no-restart'], 'exit 0')).code, 0);
      assert.equal((await run(['--no-restart'], 'exit 213')).code, 213);
      assert.equal((await run(['--no-restart'], 'kill -KILL $$')).code, 137);
      assert.equal((await run(['--no-restart'], 'kill -TERM $$')).code, 143);
    });

    it('writes the pid of each agent to the pid file', async () => {
      init = await Supervised.start(binary);
      const file = join(init.directory, 'agent.pid');
      const { code, stdout } = await run(['--no-restart', '--pid-file', file], 'sleep 0.1; echo $$');
      assert.deepEqual([code, await readFile(file, 'utf8')], [0, stdout]);
    });

    it('keeps the environment, resets signals, and gives the agent nothing but stdio and its socket', async () => {
      const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
      const script =
        'env | grep -c ^BERTH_; echo $BERTH_KEEPER_FD $MARK; ls /proc/$$/fd; grep -E "Sig(Blk|Ign)" /proc/self/status';
      const shell = `exec env --ignore-signal=CHLD,PIPE,HUP ${binary} --no-restart -- sh -c '${script}'`;
      const others = Object.entries(process.env).filter(([name]) => !name.startsWith('BERTH_'));
      const env = { ...Object.fromEntries(others), MARK: 'mark', BERTH_KEEPER_FD: '99', BERTH_GENERATION: '99' };
      const child = spawn('sh', ['-c', shell], { stdio, env, timeout: 10_000, killSignal: 'SIGKILL' });
      const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      assert.equal(code, 0);
      const lines = output.trim().split('\n');
      // Whoever runs the tests may have left fds open to everything below.
      const inherited = (await text(spawn('sh', ['-c', 'ls /proc/$$/fd'], { stdio }).stdout)).trim().split('\n');
      const fds = [...new Set([...inherited, '3'])].sort();
      const masks = ['SigBlk:\t0000000000000000', 'SigIgn:\t0000000000000000'];
      assert.deepEqual(lines, ['3', '3 mark', ...fds, ...masks]);
    });

    it('explains itself when it is called wrongly', async () => {
      for (const args of [
        [],
        ['--'],
        ['--bogus', '--', 'x'],
        ['--restart-limit', '0', '--', 'x'],
        ['--stop-grace', '1x', '--', 'x'],
        ['--pid-file'],
      ]) {
        const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
        const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
        assert.equal(code, 64, args.join(' '));
        assert.match(stderr, /^berth-init: .*\nusage: berth-init \[options\] -- COMMAND/);
      }
    });
  });
}
