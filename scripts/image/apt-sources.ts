// Which Debian mirror this machine's apt uses, read from its sources (sources.list(5)): the image is built from the
// same one.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { CommandError } from '../bootstrap/progress.mjs';

export interface Mirrors {
  debian: string;
  /** Absent where the machine has no archive of security updates. */
  security?: string;
}

/** One archive of one suite. */
export interface AptSource {
  uri: string;
  suite: string;
  components: readonly string[];
}

const SUITE = /^(?:oldoldstable|oldstable|stable|testing|unstable|sid|bullseye|bookworm|trixie|forky|duke)$/;
const SECURITY_SUITE = /-security$|\/updates$/;

/** The binary archives of a one-line style file: `deb [options] uri suite component ...`. */
export function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const words = /^\s*deb\s+(?:\[[^\]]*\]\s*)?([^#]*)/.exec(line)?.[1]?.trim().split(/\s+/);
    const [uri, suite, ...components] = words ?? [];
    if (uri && suite) sources.push({ uri, suite, components });
  }
  return sources;
}

/** The binary archives of a deb822 style file: paragraphs of `Field: value`, continued by lines that begin with a blank. */
export function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const paragraph of text.replace(/^#.*\n?/gm, '').split(/\n\s*\n/)) {
    const fields = new Map<string, string[]>();
    for (const [, name, value] of paragraph.matchAll(/^([A-Za-z-]+):((?:.*(?:\n[ \t].*)*))/gm)) {
      fields.set(name!.toLowerCase(), value!.trim().split(/\s+/).filter(Boolean));
    }
    const field = (name: string) => fields.get(name) ?? [];
    const enabled = !['no', 'false', '0', 'off'].includes(field('enabled')[0]?.toLowerCase() ?? 'yes');
    if (!enabled || !field('types').includes('deb')) continue;
    for (const uri of field('uris')) {
      for (const suite of field('suites')) sources.push({ uri, suite, components: field('components') });
    }
  }
  return sources;
}

/**
 * The first mirror of each kind that a download can come from: not a CD, not a list of mirrors in a local file.
 * @throws CommandError where there is none
 */
export function chooseMirrors(sources: readonly AptSource[]): Mirrors {
  const usable = sources.filter(({ uri, components }) => /^https?:\/\//.test(uri) && components.includes('main'));
  const debian = usable.find(({ suite }) => SUITE.test(suite))?.uri;
  const security = usable.find(({ suite }) => SECURITY_SUITE.test(suite))?.uri;
  const trimmed = (uri: string) => uri.replace(/\/+$/, '');
  if (debian === undefined)
    throw new CommandError('apt has no Debian mirror to build the guest from: add one to /etc/apt/sources.list');
  return { debian: trimmed(debian), ...(security === undefined ? {} : { security: trimmed(security) }) };
}

/** The mirrors of the machine whose apt configuration is in `etc`. */
export async function machineMirrors(etc = '/etc/apt'): Promise<Mirrors> {
  const parts = path.join(etc, 'sources.list.d');
  const names = (await readdir(parts).catch(() => [])).sort();
  const read = (file: string) => readFile(file, 'utf8').catch(() => '');
  const sources = parseOneLine(await read(path.join(etc, 'sources.list')));
  for (const name of names) {
    if (name.endsWith('.list')) sources.push(...parseOneLine(await read(path.join(parts, name))));
    if (name.endsWith('.sources')) sources.push(...parseDeb822(await read(path.join(parts, name))));
  }
  return chooseMirrors(sources);
}
