import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../child.js';
import { missingCommand } from './command.js';
import type { Peer } from './peer.js';

export const nghttpx: Peer = {
  name: 'nghttpx',
  missing: () => missingCommand('nghttpx', '--version', 'apt install nghttp2-proxy'),
  unfit: (secondaries) => (secondaries > 0 ? 'has no mirroring' : undefined),
  start({ listenPort, backendPorts, certificate, directory }) {
    // Without a file of its own it reads the system's.
    const file = join(directory, 'nghttpx.conf');
    writeFileSync(file, '');
    const files = certificate === undefined ? [] : [certificate.key, certificate.cert];
    return Child.start('nghttpx', [
      `--conf=${file}`,
      '--single-process',
      '--workers=1',
      `--frontend=127.0.0.1,${listenPort}${certificate === undefined ? ';no-tls' : ''}`,
      `--backend=127.0.0.1,${backendPorts[0]};;proto=h2${certificate === undefined ? '' : ';tls'}`,
      '--insecure',
      '--no-ocsp',
      '--frontend-http2-window-size=262144',
      '--frontend-http2-connection-window-size=4194304',
      '--backend-http2-window-size=262144',
      '--backend-http2-connection-window-size=4194304',
      '--frontend-http2-max-concurrent-streams=20000',
      '--backend-http2-max-concurrent-streams=20000',
      '--log-level=ERROR',
      '--accesslog-file=/dev/null',
      ...files,
    ]);
  },
};
