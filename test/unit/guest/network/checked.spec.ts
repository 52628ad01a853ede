import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasCode, isAgentError } from '../../../../agent/errors.ts';
import {
  checkCount,
  checkIpAddress,
  checkLinkName,
  checkMacAddress,
  checkPrefix,
  checkPrefixLength,
} from '../../../../agent/guest/network/checked.ts';
import { batchLine } from '../../../../agent/guest/network/ip-command.ts';

const refused = (field: string) => (error: unknown) => hasCode(error, 'invalid_argument') && error.fields['field'] === field;

describe('the words a client has in network commands', () => {
  const GOOD: [string, () => unknown, unknown][] = [
    ['an IPv4 address', () => checkIpAddress('10.0.0.1', 'f'), { family: 4, address: '10.0.0.1' }],
    ['an IPv6 address', () => checkIpAddress('FD00::1', 'f'), { family: 6, address: 'FD00::1' }],
    ['a mapped address', () => checkIpAddress('::ffff:1.2.3.4', 'f'), { family: 6, address: '::ffff:1.2.3.4' }],
    ['a prefix length', () => checkPrefixLength('128', 6, 'f'), 128],
    ['no prefix length at all, said as 0', () => checkPrefixLength('0', 4, 'f'), 0],
    ['a prefix', () => checkPrefix('10.0.0.0/8', 'f'), { family: 4, address: '10.0.0.0', length: 8 }],
    [
      'a bare address where a prefix may be',
      () => checkPrefix('fd00::', 'f'),
      { family: 6, address: 'fd00::', length: undefined },
    ],
    ['a MAC address in capitals', () => checkMacAddress('02:AB:00:00:00:0F', 'f'), '02:ab:00:00:00:0f'],
    [
      'an InfiniBand address',
      () => checkMacAddress('80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:29:45:6d', 'f').length,
      59,
    ],
    ['a name of 15 bytes', () => checkLinkName('abcdefghijklmno', 'f'), 'abcdefghijklmno'],
    ['a name that begins with a dash', () => checkLinkName('-batch', 'f'), '-batch'],
    ['a name with dots', () => checkLinkName('eth0.100', 'f'), 'eth0.100'],
  ];
  for (const [title, check, found] of GOOD) it(`may be ${title}`, () => assert.deepEqual(check(), found));

  const BAD: [string, () => unknown][] = [
    ['an empty address', () => checkIpAddress('', 'f')],
    ['a host name', () => checkIpAddress('localhost', 'f')],
    ['a short address', () => checkIpAddress('10.1', 'f')],
    ['an octal address', () => checkIpAddress('010.0.0.1', 'f')],
    ['an address with a zone', () => checkIpAddress('fe80::1%eth0', 'f')],
    ['an address with more words', () => checkIpAddress('10.0.0.1 dev lo', 'f')],
    ['an option', () => checkIpAddress('-6', 'f')],
    ['`default`', () => checkPrefix('default', 'f')],
    ['a prefix too long for IPv4', () => checkPrefix('10.0.0.0/33', 'f')],
    ['a prefix too long for IPv6', () => checkPrefixLength('129', 6, 'f')],
    ['an empty prefix length', () => checkPrefixLength('', 4, 'f')],
    ['a netmask', () => checkPrefixLength('255.255.255.0', 4, 'f')],
    ['a negative prefix length', () => checkPrefixLength('-1', 4, 'f')],
    ['a prefix with two lengths', () => checkPrefix('10.0.0.0/8/8', 'f')],
    ['a MAC address of 5 octets', () => checkMacAddress('02:00:00:00:00', 'f')],
    ['a MAC address of 33 octets', () => checkMacAddress(Array(33).fill('02').join(':'), 'f')],
    ['a MAC address with dashes', () => checkMacAddress('02-00-00-00-00-01', 'f')],
    ['an empty name', () => checkLinkName('', 'f')],
    ['a name of 16 bytes', () => checkLinkName('abcdefghijklmnop', 'f')],
    ['a name of 16 bytes in 8 letters', () => checkLinkName('éééééééé', 'f')],
    ...['.', '..', 'a/b', 'a:b', 'a b', 'a\tb', 'a\nb', 'a\0b', 'a#b', "'a", '"a"', 'a\\', 'eth%d', 'a\u00a0b'].map(
      (name): [string, () => unknown] => [`the name ${JSON.stringify(name)}`, () => checkLinkName(name, 'f')],
    ),
  ];
  for (const [title, check] of BAD) it(`may not be ${title}`, () => assert.throws(check, refused('f')));

  it('are told by their field and limit when they are too many', () => {
    assert.doesNotThrow(() => checkCount(2, 2, 'f'));
    assert.throws(
      () => checkCount(3, 2, 'f'),
      (error) => hasCode(error, 'resource_exhausted') && error.fields['limit'] === 2,
    );
  });

  it('are one word each of a line, whatever the text, or are refused', () => {
    const checks = [checkIpAddress, checkPrefix, checkMacAddress, checkLinkName];
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.ipV4(),
      fc.ipV6(),
      fc.stringMatching(/^[a-z#'" -]{1,8}$/),
    );
    fc.assert(
      fc.property(text, fc.constantFrom(...checks), (value, check) => {
        try {
          check(value, 'f');
        } catch (error) {
          assert.ok(isAgentError(error));
          return;
        }
        assert.equal(batchLine(['x', value]).split(/\s/).length, 2);
      }),
    );
  });

  for (const word of ['', 'a b', 'a\nlink', '#', '"x', "x'", 'a\\']) {
    it(`never reach \`ip\` as ${JSON.stringify(word)}, even unchecked`, () => {
      assert.throws(
        () => batchLine(['link', word]),
        (error) => hasCode(error, 'invalid_argument'),
      );
    });
  }
});
