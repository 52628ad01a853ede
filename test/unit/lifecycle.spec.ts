import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hasCode } from '../../agent/errors.ts';
import { createLifecycle, handleProcessEvents } from '../../agent/lifecycle.ts';
import { type LogFields, type Logger, silentLogger } from '../../agent/log.ts';

function recordingLog(): { log: Logger; warnings: LogFields[] } {
  const warnings: LogFields[] = [];
  return { log: { ...silentLogger, warn: (_message, fields = {}) => void warnings.push(fields) }, warnings };
}

describe('the lifecycle', () => {
  it('closes what was started, the last first, and waits for each', async () => {
    const lifecycle = createLifecycle(silentLogger);
    const order: string[] = [];
    for (const name of ['log', 'state', 'listener']) {
      await lifecycle.start(
        name,
        () => name,
        async (opened) => {
          await sleep(1);
          order.push(opened);
        },
      );
    }
    lifecycle.onStop('extra', () => order.push('extra'));
    await lifecycle.stop('test');
    assert.deepEqual(order, ['extra', 'listener', 'state', 'log']);
  });

  it('gives back what was opened', async () => {
    assert.equal(await createLifecycle(silentLogger).start('x', async () => 5), 5);
  });

  it('stops once, however often it is asked', async () => {
    const lifecycle = createLifecycle(silentLogger);
    let closed = 0;
    lifecycle.onStop('x', () => closed++);
    await Promise.all([lifecycle.stop('a'), lifecycle.stop('b')]);
    await lifecycle.stop('c');
    assert.equal(closed, 1);
  });

  it('goes on with the others when one fails or throws, and says which', async () => {
    const { log, warnings } = recordingLog();
    const lifecycle = createLifecycle(log);
    const closed: string[] = [];
    lifecycle.onStop('first', () => closed.push('first'));
    lifecycle.onStop('rejects', () => Promise.reject(new Error('no')));
    lifecycle.onStop('throws', () => {
      throw new Error('no');
    });
    await lifecycle.stop('test');
    assert.deepEqual(closed, ['first']);
    assert.deepEqual(
      warnings.map(({ part }) => part),
      ['throws', 'rejects'],
    );
  });

  it('leaves a part behind that does not stop within its deadline', async () => {
    const { log, warnings } = recordingLog();
    const lifecycle = createLifecycle(log);
    let closed = false;
    lifecycle.onStop('first', () => {
      closed = true;
    });
    lifecycle.onStop('hangs', () => new Promise(() => {}), 20);
    await lifecycle.stop('test');
    assert.ok(closed);
    assert.ok(hasCode(warnings[0]?.['error'], 'deadline_exceeded'));
  });

  it('stops what runs already when a later part can not start, and throws why', async () => {
    const lifecycle = createLifecycle(silentLogger);
    const closed: string[] = [];
    lifecycle.onStop('first', () => closed.push('first'));
    await assert.rejects(
      lifecycle.start(
        'second',
        () => Promise.reject(new Error('port in use')),
        () => closed.push('second'),
      ),
      /port in use/,
    );
    assert.deepEqual(closed, ['first']);
  });

  it('closes a part that was still opening when stopping began', async () => {
    const lifecycle = createLifecycle(silentLogger);
    let closed = false;
    const opening = lifecycle.start(
      'slow',
      () => sleep(10),
      () => {
        closed = true;
      },
    );
    await lifecycle.stop('test');
    await assert.rejects(opening, (error) => hasCode(error, 'failed_precondition'));
    assert.ok(closed);
  });

  it('starts nothing once stopping has begun', async () => {
    const lifecycle = createLifecycle(silentLogger);
    await lifecycle.stop('test');
    await assert.rejects(
      lifecycle.start('x', () => assert.fail('was opened')),
      (error) => hasCode(error, 'failed_precondition'),
    );
    assert.throws(
      () => lifecycle.onStop('x', () => {}),
      (error) => hasCode(error, 'failed_precondition'),
    );
  });

  it('tells waits and loops by its signal before the first part closes', async () => {
    const lifecycle = createLifecycle(silentLogger);
    lifecycle.onStop('x', () => assert.ok(lifecycle.stopping.aborted));
    await lifecycle.stop('test');
    assert.ok(hasCode(lifecycle.stopping.reason, 'unavailable'));
  });
});

describe('the end of the process', () => {
  const arrange = () => {
    const from = new EventEmitter();
    const exits: number[] = [];
    const said: LogFields[] = [];
    const lifecycle = createLifecycle(silentLogger);
    handleProcessEvents(from, lifecycle, {
      exit: (code) => exits.push(code),
      critical: (_message, fields) => said.push(fields),
      flush: async () => {},
    });
    return { from, exits, said, lifecycle };
  };

  for (const signal of ['SIGTERM', 'SIGINT']) {
    it(`comes in order and with 0 after ${signal}`, async () => {
      const { from, exits, lifecycle } = arrange();
      let closed = false;
      lifecycle.onStop('x', () => {
        closed = true;
      });
      from.emit(signal);
      await lifecycle.stop('join');
      await sleep(1);
      assert.deepEqual([closed, exits], [true, [0]]);
    });
  }

  it('comes at once with 128 + n after a second signal', () => {
    const { from, exits, lifecycle } = arrange();
    lifecycle.onStop('hangs', () => new Promise(() => {}), 50);
    from.emit('SIGTERM');
    from.emit('SIGTERM');
    assert.deepEqual(exits, [143]);
  });

  for (const event of ['uncaughtException', 'unhandledRejection']) {
    it(`comes with 70 and without closing anything after an ${event}, told once`, async () => {
      const { from, exits, said, lifecycle } = arrange();
      lifecycle.onStop('state', () => assert.fail('was closed'));
      const error = new Error('bug');
      from.emit(event, error);
      from.emit(event, new Error('another'));
      await sleep(1);
      assert.deepEqual(exits, [70]);
      assert.deepEqual(
        said.map((fields) => fields['error']),
        [error],
      );
    });
  }
});

describe('a process with the real events', () => {
  const run = async (how: string, signal?: NodeJS.Signals) => {
    const program = fileURLToPath(new URL('../fixtures/agent/lifecycle.ts', import.meta.url));
    const child = spawn(process.execPath, [program, how], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      const wasReady = output.includes('"ready"');
      output += chunk;
      // Once only: the second signal ends a process at once.
      if (signal && !wasReady && output.includes('"ready"')) child.kill(signal);
    });
    const [code] = (await once(child, 'close')) as [number];
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    return { code, lines };
  };

  it('stops its parts and exits 0 on SIGTERM', async () => {
    const { code, lines } = await run('wait', 'SIGTERM');
    assert.equal(code, 0);
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['ready', 'agent stopping', 'part closed', 'agent stopped'],
    );
  });

  for (const how of ['throw', 'reject']) {
    it(`logs the whole chain as CRIT and exits 70 when it ${how}s`, async () => {
      const { code, lines } = await run(how);
      assert.equal(code, 70);
      const last = lines.at(-1);
      assert.deepEqual([last?.['level'], last?.['msg'], last?.['error']], ['CRIT', 'agent crashed', 'outer: inner']);
      assert.match(last?.['error.stack'] ?? '', /inner/);
    });
  }
});
