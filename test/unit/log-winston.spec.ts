import assert from 'node:assert/strict';
import { createAgentLog } from '../../agent/log-winston.ts';

function memoryLog(threshold: 'critical' | 'info' | 'trace' = 'info') {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line), drain: async () => true, lost: 0 };
  const origin = { version: '1', pid: 1, now: () => 'now' };
  const log = createAgentLog({ origin, sink, threshold });
  return { log, messages: () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg), lines };
}

for (const started of [false, true]) {
  describe(started ? 'the log with winston loaded' : 'the log before winston is loaded', () => {
    const open = async (threshold?: 'critical' | 'info' | 'trace') => {
      const opened = memoryLog(threshold);
      if (started) await opened.log.start();
      return opened;
    };

    it('writes what is at or above the threshold, in order', async () => {
      const { log, messages } = await open();
      log.logger.trace('a');
      log.logger.debug('b');
      log.logger.info('c');
      log.logger.warn('d');
      log.logger.error('e');
      assert.deepEqual(messages(), ['c', 'd', 'e']);
      assert.deepEqual([log.logger.enabled('debug'), log.logger.enabled('info')], [false, true]);
    });

    it('writes the last word at every threshold', async () => {
      const { log, messages } = await open('critical');
      log.logger.error('quiet');
      log.critical('agent crashed');
      assert.deepEqual(messages(), ['agent crashed']);
    });

    it('follows a new threshold, in child loggers as well', async () => {
      const { log, messages } = await open();
      const child = log.logger.child({ container: 'c' });
      child.trace('before');
      log.setThreshold('trace');
      child.trace('after');
      assert.deepEqual(messages(), ['after']);
    });

    it('adds the fields of child loggers, the inner ones winning', async () => {
      const { log, lines } = await open();
      log.logger.child({ subsystem: 'rpc', a: 1 }).child({ a: 2 }).info('x', { b: 3 });
      const { subsystem, a, b } = JSON.parse(lines[0] ?? '') as Record<string, string>;
      assert.deepEqual([subsystem, a, b], ['rpc', '2', '3']);
    });

    it('does not look at the fields of a line below the threshold', async () => {
      const { log } = await open();
      const fields = {
        get costly(): string {
          throw new Error('was read');
        },
      };
      assert.doesNotThrow(() => log.logger.debug('x', fields));
    });

    it('goes on after it was flushed', async () => {
      const { log, messages } = await open();
      await log.flush(10);
      log.logger.info('still here');
      assert.deepEqual(messages(), ['still here']);
    });

    it('drops lines after it was closed', async () => {
      const { log, messages } = await open();
      log.logger.info('last');
      await log.close(10);
      log.logger.info('too late');
      assert.deepEqual(messages(), ['last']);
    });
  });
}

describe('loading winston', () => {
  it('keeps the order of lines around it', async () => {
    const { log, messages } = memoryLog();
    log.logger.info('1');
    const loading = log.start();
    log.logger.info('2');
    await loading;
    log.logger.info('3');
    await log.start();
    log.logger.info('4');
    assert.deepEqual(messages(), ['1', '2', '3', '4']);
  });

  it('does not open a log again that was closed meanwhile', async () => {
    const { log, messages } = memoryLog();
    const loading = log.start();
    await log.close(10);
    await loading;
    log.logger.info('too late');
    assert.deepEqual(messages(), []);
  });

  it('leaves nothing of a burst waiting in winston', async () => {
    const { log, messages } = memoryLog();
    await log.start();
    for (let at = 0; at < 1000; at++) log.logger.info('x');
    assert.equal(messages().length, 1000);
  });
});
