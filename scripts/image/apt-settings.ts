// The part of this machine's apt configuration that says how archives are reached: proxies, retries, clocks that are
// off. The apt inside the image build needs it as well.
import { execa } from 'execa';

const REACHING =
  /^Acquire::(?:https?::|ftp::|Retries |Check-Date |Check-Valid-Until |Max-ValidTime |Max-FutureTime |ForceIPv[46] )/;
/** Files of this machine that do not exist inside the build, and scripts. */
const LOCAL = /::(?:CAInfo|CAPath|SslCert|SslKey|IssuerCert|Proxy-Auto-?Detect|ProxyAutoDetect) |User-Agent/i;

/** The lines to keep of what `apt-config dump` prints, as apt.conf(5) text. */
export function reachingSettings(dump: string): string {
  const lines = dump.split('\n').filter((line) => REACHING.test(line) && !LOCAL.test(line) && !line.endsWith('"";'));
  return lines.map((line) => `${line}\n`).join('');
}

export async function machineAptSettings(): Promise<string> {
  const { stdout } = await execa('apt-config', ['dump']);
  return reachingSettings(stdout);
}
