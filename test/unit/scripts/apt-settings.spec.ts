import assert from 'node:assert/strict';
import { reachingSettings } from '../../../scripts/image/apt-settings.ts';

describe("the machine's apt settings that an image build takes over", () => {
  it('are proxies, retries and what is said about dates', () => {
    const dump = `APT::Architecture "amd64";
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3142/";
Acquire::https::Proxy::internal.example "DIRECT";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Languages:: "none";
Dir::Cache::pkgcache "";
`;
    assert.deepEqual(reachingSettings(dump).trim().split('\n'), [
      'Acquire::http::Proxy "http://proxy.example:3142/";',
      'Acquire::https::Proxy::internal.example "DIRECT";',
      'Acquire::Retries "3";',
      'Acquire::Check-Valid-Until "false";',
      'Acquire::Check-Date "false";',
    ]);
  });

  it('leave out what names a file or script of the machine', () => {
    const dump = 'Acquire::https::CAInfo "/etc/ssl/x.pem";\nAcquire::http::Proxy-Auto-Detect "/usr/bin/detect";\n';
    assert.equal(reachingSettings(dump), '');
  });

  it('are empty on a machine that needs none', () => assert.equal(reachingSettings(''), ''));
});
