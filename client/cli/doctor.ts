// `berth doctor`: what this host or a guest lacks, and what to do about it.

import { type Finding, formatFindings } from '../doctor/finding.ts';
import { checkGuest } from '../doctor/guest-checks.ts';
import { checkHost } from '../doctor/host-checks.ts';
import { thisSystem } from '../doctor/system.ts';
import { writeText } from './fd-output.ts';
import { findPlace } from './target.ts';
import type { Verb } from './verb.ts';

/** Of `doctor` when something does not work. */
const EXIT_PROBLEM = 1;

export const doctor: Verb = {
  name: 'doctor',
  usage: '[OPTIONS]',
  summary: 'Tells what this host, or a guest, lacks and what to do about it.',
  description: [
    'Without --vm or --address it looks at this host: kernel, vhost_vsock, KVM (by running a guest of a few instructions), QEMU,',
    'and the way in which a guest would be booted. With one of them it asks the agent of that guest. It changes nothing but what',
    '--load asks for. The status is 0 when all works, 1 when something does not.',
  ].join('\n'),
  options: {
    vm: { kind: 'text', value: 'NAME', help: 'look at the guest of this VM' },
    address: { kind: 'text', value: 'URI', help: 'look at the guest whose agent is there' },
    load: { kind: 'flag', help: 'load the kernel module vhost_vsock where it is not loaded (as root, or by sudo)' },
    json: { kind: 'flag', help: 'an array of {id, status, found, remedy}' },
  },

  async run(args) {
    const guest = args.text('vm') !== undefined || args.text('address') !== undefined;
    const findings = guest ? await checkGuest((await findPlace(args, false)).address) : await lookAtHost(args.flag('load'));
    await writeText(1, args.flag('json') ? `${JSON.stringify(findings, null, 2)}\n` : formatFindings(findings));
    return findings.some(({ status }) => status === 'problem') ? EXIT_PROBLEM : 0;
  },
};

async function lookAtHost(load: boolean): Promise<Finding[]> {
  const { imageFolder } = await import('../vm/options.ts');
  return await checkHost(thisSystem(), { load, env: process.env, imageFolder: imageFolder() });
}
