import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../child.js';
import { missingCommand } from './command.js';
import type { Peer, Setup } from './peer.js';

export const haproxy: Peer = {
  name: 'haproxy',
  missing: () => missingCommand('haproxy', '-v', 'apt install haproxy'),
  unfit: (secondaries) => (secondaries > 0 ? 'has no mirroring of its own' : undefined),
  start(setup) {
    const file = join(setup.directory, 'haproxy.cfg');
    writeFileSync(file, configuration(setup));
    return Child.start('haproxy', ['-db', '-f', file]);
  },
};

function configuration({ listenPort, backendPorts, certificate }: Setup): string {
  return `
global
  nbthread 1
  maxconn 4000
  tune.h2.initial-window-size 262144
  tune.h2.max-concurrent-streams 20000
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend bench
  bind 127.0.0.1:${listenPort} ${certificate === undefined ? 'proto h2' : `ssl crt ${certificate.both} alpn h2`}
  default_backend bench
backend bench
  server primary 127.0.0.1:${backendPorts[0]} ${certificate === undefined ? 'proto h2' : 'ssl verify none alpn h2'}
`;
}
