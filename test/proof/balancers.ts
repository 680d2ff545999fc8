import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child, type Parent } from '../support/child.js';
import { missing } from '../support/missing.js';
import { PORTS } from './network.js';

/** A balancer before the replicas. */
export interface Balancer {
  readonly name: string;
  /** What it tells a client whose server is lost, where that is not UNAVAILABLE. */
  readonly loss: { readonly pattern: string; readonly why: string };
  /** Why it cannot be had here. */
  readonly missing: () => string | false;
  readonly commandLine: (setup: BalancerSetup) => readonly string[];
}

export interface BalancerSetup {
  readonly host: string;
  readonly replicas: readonly string[];
  /** For its own files. */
  readonly folder: string;
}

const haproxy: Balancer = {
  name: 'HAProxy',
  loss: {
    pattern: '^CANCELLED: |^INTERNAL: .*Call ended without gRPC status|^UNKNOWN: Stream removed',
    why: 'ends a stream whose server is lost behind its response headers by RST_STREAM(CANCEL), or by END_STREAM as if it were whole',
  },
  missing: () => missing('haproxy'),
  commandLine({ host, replicas, folder }) {
    const file = `${folder}/haproxy.cfg`;
    const servers = replicas.map(
      (replica, index) =>
        `  server replica${index + 1} ${replica}:${PORTS.cleartext} proto h2 check port ${PORTS.admin} check-proto h1`,
    );
    writeFileSync(
      file,
      `
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout check 5s
  timeout client 1h
  timeout server 1h
  retries 3
  option redispatch 1
frontend calls
  bind ${host}:${PORTS.balancer} proto h2
  default_backend proxies
backend proxies
  balance roundrobin
  option httpchk
  http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host 127.0.0.1
  default-server inter 250ms fall 2 rise 1
${servers.join('\n')}
`,
    );
    return ['haproxy', '-db', '-f', file];
  },
};

const nghttpx: Balancer = {
  name: 'nghttpx',
  loss: {
    pattern: '^INTERNAL: Received RST_STREAM',
    why: 'ends a stream whose server is lost by RST_STREAM(INTERNAL_ERROR)',
  },
  missing: () => missing('nghttpx'),
  commandLine({ host, replicas, folder }) {
    // Without a file of its own it reads the system's.
    const file = `${folder}/nghttpx.conf`;
    writeFileSync(file, '');
    return [
      'nghttpx',
      `--conf=${file}`,
      '--single-process',
      '--workers=1',
      `--frontend=${host},${PORTS.balancer};no-tls`,
      ...replicas.map((replica) => `--backend=${replica},${PORTS.cleartext};;proto=h2;fall=1;rise=1`),
      '--no-ocsp',
      '--log-level=ERROR',
      '--accesslog-file=/dev/null',
    ];
  },
};

export const BALANCERS: readonly Balancer[] = [haproxy, nghttpx];

/** Starts one; resolves when it listens. */
export async function startBalancer(
  parent: Parent,
  balancer: Balancer,
  setup: BalancerSetup,
): Promise<Child> {
  const [program, ...rest] = balancer.commandLine(setup);
  const child = Child.start(parent, program!, ...rest);
  while (!(await listens(setup.host))) {
    child.demandRunning();
    await sleep(20);
  }
  return child;
}

function listens(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(PORTS.balancer, host);
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
