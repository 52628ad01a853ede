import assert from 'node:assert/strict';
import { chooseMirrors, parseDeb822, parseOneLine } from '../../../scripts/image/apt-sources.ts';

describe("apt's one-line sources", () => {
  it('give address, suite and components, without options and comments', () => {
    const text = `
# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main contrib # why
deb-src http://one.example/debian bookworm main
  deb\thttp://two.example/debian/   bookworm-updates   main
`;
    assert.deepEqual(parseOneLine(text), [
      { uri: 'http://one.example/debian', suite: 'bookworm', components: ['main', 'contrib'] },
      { uri: 'http://two.example/debian/', suite: 'bookworm-updates', components: ['main'] },
    ]);
  });

  it('take an archive with an exact path and no components', () => {
    assert.deepEqual(parseOneLine('deb http://x.example/repo ./\n'), [
      { uri: 'http://x.example/repo', suite: './', components: [] },
    ]);
  });
});

describe("apt's deb822 sources", () => {
  it('give every pair of address and suite of a paragraph', () => {
    const text = `Types: deb deb-src
# a remark inside a paragraph
URIs: http://one.example/debian
 http://two.example/debian
Suites: trixie trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
`;
    const found = parseDeb822(text).map(({ uri, suite }) => `${uri} ${suite}`);
    assert.deepEqual(found, [
      'http://one.example/debian trixie',
      'http://one.example/debian trixie-updates',
      'http://two.example/debian trixie',
      'http://two.example/debian trixie-updates',
    ]);
  });

  it('keep paragraphs apart, and skip source-only and disabled ones', () => {
    const text = `Types: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\nEnabled: no\n
Types: deb-src\nURIs: http://src.example/debian\nSuites: trixie\nComponents: main\n
types: deb\nuris: http://on.example/debian\nsuites: trixie\ncomponents: main\n`;
    assert.deepEqual(parseDeb822(text), [{ uri: 'http://on.example/debian', suite: 'trixie', components: ['main'] }]);
  });
});

describe('the mirror the image is built from', () => {
  const main = ['main'];

  it("is the machine's own, for packages and for security updates", () => {
    const sources = [
      { uri: 'https://vendor.example/apt', suite: 'nodistro', components: main },
      { uri: 'http://sec.example/debian-security/', suite: 'bookworm-security', components: main },
      { uri: 'http://near.example/debian/', suite: 'bookworm', components: main },
      { uri: 'http://far.example/debian', suite: 'bookworm', components: main },
    ];
    assert.deepEqual(chooseMirrors(sources), {
      debian: 'http://near.example/debian',
      security: 'http://sec.example/debian-security',
    });
  });

  it("is missed where the machine has only a CD or another distribution's archive", () => {
    const sources = [
      { uri: 'cdrom:[Debian]/', suite: 'trixie', components: main },
      { uri: 'http://ubuntu.example/ubuntu', suite: 'noble', components: main },
    ];
    assert.throws(() => chooseMirrors(sources), /no Debian mirror/);
  });

  it('does without security updates where the machine has none', () => {
    const sources = [{ uri: 'http://near.example/debian/', suite: 'trixie', components: main }];
    assert.deepEqual(chooseMirrors(sources), { debian: 'http://near.example/debian' });
  });
});
