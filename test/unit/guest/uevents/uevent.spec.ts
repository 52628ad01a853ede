import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseUevent } from '../../../../agent/guest/uevents/uevent.ts';

const message = (...parts: string[]) => Buffer.from(parts.map((part) => `${part}\0`).join(''));

describe("the kernel's message on a device", () => {
  it('is read', () => {
    const path = '/devices/pci0000:00/0000:00:02.0/0000:01:03.0/virtio2/block/vdc';
    assert.deepEqual(
      parseUevent(message(`add@${path}`, 'ACTION=add', `DEVPATH=${path}`, 'SUBSYSTEM=block', 'MAJOR=254', 'DEVNAME=vdc')),
      { action: 'add', path, subsystem: 'block' },
    );
  });

  it('may belong to no subsystem, and says so once', () => {
    assert.deepEqual(parseUevent(message('remove@/module/loop')), { action: 'remove', path: '/module/loop', subsystem: '' });
    assert.equal(parseUevent(message('add@/x', 'SUBSYSTEM=net', 'SUBSYSTEM=block'))?.subsystem, 'net');
    assert.equal(parseUevent(message('add@/x', 'NOT_SUBSYSTEM=block'))?.subsystem, '');
  });

  for (const [title, bytes] of [
    ["udev's own form", message('libudev', '\xfe\xed', 'add@/x')],
    ['nothing', Buffer.alloc(0)],
    ['an action alone', message('add')],
    ['a path that is not absolute', message('add@devices/x')],
    ['an action that is none', message('ADD ME@/x')],
    ['no action', message('@/x')],
  ] as const) {
    it(`is not ${title}`, () => assert.equal(parseUevent(bytes), undefined));
  }

  it('is told from any other bytes without an error', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseUevent(bytes)));
  });

  it('gives back what any kernel could say', () => {
    const word = fc.stringMatching(/^[a-z]{1,16}$/);
    const path = fc.stringMatching(/^\/[ -~]{0,80}$/);
    const values = fc.array(fc.stringMatching(/^[A-RT-Z]{1,9}=[ -~]{0,20}$/), { maxLength: 8 });
    fc.assert(
      fc.property(word, path, word, values, (action, where, subsystem, more) => {
        const bytes = message(`${action}@${where}`, ...more, `SUBSYSTEM=${subsystem}`);
        assert.deepEqual(parseUevent(bytes), { action, path: where, subsystem });
      }),
    );
  });
});
