// Files put into the guest, where no file system is shared: CopyFile (kata-agent.md §3.13), hostile requests included.
import type { ConformanceCase, Data, Refusal, Step } from '../case.ts';
import { malformed } from './malformed.ts';

const SHARE = '/run/kata-containers/shared/containers';
const DIR = `${SHARE}/%{id}`;
const FILE = 0o100000;
const LINK = 0o120000;
const DIRECTORY = 0o040000;
const GONE: readonly Step[] = [{ guest: `rm -rf $G${DIR}; rmdir $G${SHARE} $G/run/kata-containers/shared 2>/dev/null || true` }];

const copy = (name: string, data: string, more: { [name: string]: Data } = {}): Step => ({
  call: 'CopyFile',
  request: { path: `${DIR}/${name}`, data, file_size: data.length, file_mode: FILE + 0o644, dir_mode: 0o755, ...more },
});
const link = (name: string, target: string): Step => copy(name, target, { file_mode: LINK + 0o777 });
const file = (name: string, prints: string): Step => ({ guest: `cd $G${DIR} && cat ${name}`, prints });
const stat = (names: string, prints: string): Step => ({ guest: `cd $G${DIR} && stat -c '%n %a %u %g %F' ${names}`, prints });

const shown = (id: string, kind: ConformanceCase['kind'], steps: readonly Step[]): ConformanceCase => ({
  id: `copy-file/${id}`,
  rpc: 'CopyFile',
  kind,
  steps,
  finally: GONE,
});

const OUTSIDE: Refusal = { code: ['INTERNAL', 'INVALID_ARGUMENT', 'PERMISSION_DENIED'] };

/** A call that must put nothing anywhere. */
function refused(id: string, path: string, more: { [name: string]: Data } = {}, given: readonly Step[] = []): ConformanceCase {
  return {
    id: `copy-file/${id}`,
    rpc: 'CopyFile',
    kind: 'bad-input',
    given: [copy('inside', 'x'), ...given],
    steps: [
      {
        call: 'CopyFile',
        request: { path, data: 'evil', file_size: 4, file_mode: FILE + 0o644, dir_mode: 0o755, ...more },
        fails: OUTSIDE,
      },
      { guest: 'find $G/run $G/tmp $G/etc -xdev -name evil-%{id} 2>/dev/null', prints: '' },
    ],
    finally: GONE,
  };
}

export const files: readonly ConformanceCase[] = [
  {
    id: 'copy-file/a-file-with-its-mode-and-owner',
    rpc: 'CopyFile',
    kind: 'normal',
    steps: [
      copy('a/b/key', 'value\n', { file_mode: FILE + 0o604, dir_mode: 0o751, uid: 12, gid: 34 }),
      file('a/b/key', 'value'),
      stat('a a/b a/b/key', 'a 751 0 0 directory\na/b 751 12 34 directory\na/b/key 604 12 34 regular file'),
    ],
    leaves: [`file ${DIR}/a/b/key`],
    finally: GONE,
  },
  shown('an-empty-file', 'edge', [copy('empty', ''), stat('empty', 'empty 644 0 0 regular empty file')]),
  shown('a-directory-that-is-there-keeps-what-is-in-it', 'edge', [
    copy('d/in', 'x'),
    copy('d', '', { file_mode: DIRECTORY + 0o1770, uid: 5, gid: 6 }),
    stat('d', 'd 1770 5 6 directory'),
    file('d/in', 'x'),
  ]),
  shown('a-directory-in-place-of-a-file', 'edge', [
    copy('d', 'x'),
    copy('d', '', { file_mode: DIRECTORY + 0o755 }),
    stat('d', 'd 755 0 0 directory'),
  ]),
  shown('a-link-with-any-target', 'edge', [
    link('l', '../../../../etc/shadow'),
    { guest: `readlink $G${DIR}/l`, prints: '../../../../etc/shadow' },
    link('l', '..data/key'),
    { guest: `readlink $G${DIR}/l`, prints: '..data/key' },
  ]),
  shown('a-file-in-place-of-a-tree', 'edge', [copy('d/in/deep', 'x'), copy('d', 'flat'), file('d', 'flat')]),
  shown('a-file-in-place-of-a-link-does-not-follow-it', 'edge', [
    copy('target', 'old'),
    link('l', 'target'),
    copy('l', 'new'),
    file('target', 'old'),
    file('l', 'new'),
  ]),
  shown('pieces-of-a-file', 'edge', [
    copy('big', 'first,', { file_size: 12 }),
    { guest: `test ! -e $G${DIR}/big` },
    copy('big', 'second', { file_size: 12, offset: 6 }),
    file('big', 'first,second'),
  ]),
  shown('pieces-of-two-files-that-differ-in-their-ending', 'edge', [
    copy('foo.a', 'AA', { file_size: 4 }),
    copy('foo.b', 'BB', { file_size: 4 }),
    copy('foo.a', 'aa', { file_size: 4, offset: 2 }),
    copy('foo.b', 'bb', { file_size: 4, offset: 2 }),
    file('foo.a', 'AAaa'),
    file('foo.b', 'BBbb'),
  ]),
  shown('a-file-whose-ending-is-tmp-is-left-alone', 'edge', [
    copy('foo.tmp', 'mine'),
    copy('foo.a', 'other'),
    file('foo.tmp', 'mine'),
  ]),
  shown('a-piece-of-a-mebibyte', 'edge', [
    {
      call: 'CopyFile',
      request: { path: `${DIR}/big`, data: { $repeat: 'm', $times: 1_048_576 }, file_size: 2_097_152, file_mode: FILE + 0o600 },
    },
    {
      call: 'CopyFile',
      request: {
        path: `${DIR}/big`,
        data: { $repeat: 'm', $times: 1_048_576 },
        file_size: 2_097_152,
        file_mode: FILE + 0o600,
        offset: 1_048_576,
      },
    },
    { guest: `tr -d m < $G${DIR}/big | wc -c; wc -c < $G${DIR}/big`, prints: '0\n2097152' },
  ]),
  shown('again-over-what-is-there', 'edge', [
    copy('f', 'long text'),
    copy('f', 'short', { file_mode: FILE + 0o600 }),
    file('f', 'short'),
    stat('f', 'f 600 0 0 regular file'),
  ]),
  shown('owner-minus-one-leaves-it', 'edge', [copy('f', 'x', { uid: -1, gid: -1 }), stat('f', 'f 644 0 0 regular file')]),
  shown('set-id-bits', 'edge', [copy('f', 'x', { file_mode: FILE + 0o4755 }), stat('f', 'f 4755 0 0 regular file')]),

  refused('beside-the-share', '/run/kata-containers/shared/evil-%{id}'),
  refused('in-tmp', '/tmp/evil-%{id}'),
  refused('walking-up', `${SHARE}/../evil-%{id}`),
  refused('walking-up-from-below', `${DIR}/../../../evil-%{id}`),
  refused('of-a-name-that-only-begins-like-the-share', `${SHARE}-evil/evil-%{id}`),
  refused('of-the-share-itself', SHARE),
  refused('of-no-path', ''),
  refused('of-a-relative-path', 'evil-%{id}'),
  refused('with-a-nul-in-its-path', `${DIR}/evil-%{id}\u0000x`),
  refused('through-a-link-that-was-copied', `${DIR}/out/evil-%{id}`, {}, [link('out', '/run/kata-containers')]),
  refused('through-a-relative-link', `${DIR}/climb/evil-%{id}`, {}, [link('climb', '../../..')]),
  refused('through-two-links', `${DIR}/one/evil-%{id}`, {}, [link('one', 'two'), link('two', '/tmp')]),
  refused('a-directory-through-a-link', `${DIR}/out/evil-%{id}`, { file_mode: DIRECTORY + 0o755, data: '', file_size: 0 }, [
    link('out', '/tmp'),
  ]),
  refused('of-a-device', `${DIR}/evil-%{id}`, { file_mode: 0o020666 }),
  refused('of-a-socket', `${DIR}/evil-%{id}`, { file_mode: 0o140666 }),
  refused('of-a-negative-size', `${DIR}/evil-%{id}`, { file_size: -1 }),
  refused('of-a-negative-offset', `${DIR}/evil-%{id}`, { offset: -1 }),
  refused('beyond-its-own-size', `${DIR}/evil-%{id}`, { file_size: 2 }),
  refused('below-a-file', `${DIR}/inside/evil-%{id}`),
  { id: 'copy-file/malformed', rpc: 'CopyFile', kind: 'bad-input', steps: [malformed('CopyFile')] },
];
