import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../child.js';
import { missingCommand } from './command.js';
import type { Peer, Setup } from './peer.js';

/** nginx's `grpc_pass`; secondaries by `mirror`, which reads the whole request before it sends it anywhere. */
export const nginx: Peer = {
  name: 'nginx',
  missing: () => missingCommand('nginx', '-v', 'apt install nginx'),
  start(setup) {
    const file = join(setup.directory, 'nginx.conf');
    for (const name of ['body', 'other']) mkdirSync(join(setup.directory, name), { recursive: true });
    writeFileSync(file, configuration(setup));
    return Child.start('nginx', ['-c', file, '-p', setup.directory]);
  },
};

function configuration({ listenPort, backendPorts, certificate, directory }: Setup): string {
  const scheme = certificate === undefined ? 'grpc' : 'grpcs';
  const secondaries = backendPorts.slice(1).map((_, index) => `/mirror${index + 1}`);
  // nginx takes one connection per call to a backend and keeps them; by default it closes each after 1 000 calls.
  return `
daemon off;
master_process off;
worker_processes 1;
pid ${join(directory, 'nginx.pid')};
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${join(directory, 'body')};
  ${['proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(directory, 'other')};`).join('\n  ')}
  client_max_body_size 0;
  client_body_buffer_size 2m;
  http2_max_concurrent_streams 20000;
  http2_body_preread_size 256k;
  http2_recv_buffer_size 512k;
  keepalive_requests 1000000000;
  grpc_buffer_size 64k;
  grpc_read_timeout 1h;
  grpc_send_timeout 1h;
  ${backendPorts
    .map(
      (port, index) =>
        `upstream backend${index} { server 127.0.0.1:${port}; keepalive 1024; keepalive_requests 1000000000; }`,
    )
    .join('\n  ')}
  server {
    listen 127.0.0.1:${listenPort} ${certificate === undefined ? '' : 'ssl'} http2 backlog=4096;
    ${certificate === undefined ? '' : `ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key};`}
    location / { grpc_pass ${scheme}://backend0; ${secondaries.map((path) => `mirror ${path};`).join(' ')} }
    ${secondaries
      .map((path, index) => `location = ${path} { internal; grpc_pass ${scheme}://backend${index + 1}; }`)
      .join('\n    ')}
  }
}
`;
}
