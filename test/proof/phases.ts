import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import type { Random } from '../support/random.js';
import { PROXY_NAME } from './certificates.js';
import { PORTS } from './network.js';
import type { Replica } from './replica.js';
import type { Stage } from './stage.js';

/** What is done under load. */
export interface Phase {
  readonly name: string;
  /** It loses calls by nature: clients may make them again. */
  readonly losesCalls?: boolean;
  readonly act: (stage: Stage, options: PhaseOptions) => Promise<void>;
}

export interface PhaseOptions {
  readonly random: Random;
  /** What is the same with each is done with one. */
  readonly isShort: boolean;
}

const CERTIFICATE_CHANGED = /changed, and used from the next TLS handshake on/;
const WORKER_REPLACED = /worker \d+ \(process \d+\) is replaced by/;

export const FIRST_ROUTING = { version: 1, weights: [2, 1] } as const;
const SECOND_ROUTING = { version: 2, weights: [1, 2] } as const;

/** In this order: what is begun in one goes on in another. */
export const PHASES: readonly Phase[] = [
  {
    name: 'nothing happens',
    async act(stage) {
      const ways = [
        ...stage.replicas.map(({ number }) => ({ replica: `${number}` })),
        ...stage.backends.map(({ number }) => ({ backend: number })),
      ];
      await Promise.all(ways.map((way) => stage.meet(way)));
    },
  },
  {
    name: 'other weights of routes',
    async act(stage) {
      const [first, second, third] = stage.replicas as [Replica, Replica, Replica];
      for (const replica of stage.replicas) replica.write(SECOND_ROUTING);
      await first.post('/reload');
      second.signal('SIGHUP');
      // By itself.
      await third.untilLogged(/the config is read again, and in force/, 1);
      const config = `${SECOND_ROUTING.version}`;
      await Promise.all(stage.replicas.map(({ number }) => stage.meet({ replica: `${number}`, config })));
    },
  },
  {
    name: 'new certificates',
    async act(stage) {
      const { replicas, certificates } = stage;
      await changeCertificates(stage, 3, () => certificates.renew());
      for (const replica of replicas) await demandShown(replica, certificates.path('listener.crt'));
    },
  },
  {
    name: 'backends one by one',
    async act(stage) {
      const met: Promise<void>[] = [];
      for (const backend of stage.backends) {
        await backend.stop();
        await backend.start();
        // Until then a worker may wait for its backoff to be over, and would have no backend without the next.
        await stage.untilReached();
        met.push(stage.meet({ backend: backend.number }));
      }
      await Promise.all(met);
      // They all have new certificates now.
      await changeCertificates(stage, 2, () => stage.certificates.retire());
    },
  },
  {
    name: 'replicas one by one',
    async act(stage) {
      for (const replica of stage.replicas) {
        await replica.stop();
        await replica.start();
        await stage.meet({ replica: `${replica.number}` });
      }
    },
  },
  {
    name: 'workers one by one',
    async act(stage, { isShort }) {
      for (const replica of isShort ? stage.replicas.slice(0, 1) : stage.replicas) {
        const before = replica.workers;
        const replaced = replica.logged(WORKER_REPLACED);
        replica.signal('SIGUSR2');
        await replica.untilLogged(WORKER_REPLACED, replaced + before.length);
        const kept = replica.workers.filter((pid) => before.includes(pid));
        if (kept.length > 0) throw new Error(`replica ${replica.number}: workers ${kept} were not replaced`);
        await stage.meet({ replica: `${replica.number}` });
      }
    },
  },
  {
    name: 'a name with other addresses',
    async act(stage, { isShort }) {
      const leaving = stage.backends[2]!;
      await changeName(stage, 'next', [1, 2]);
      await leaving.stop();
      await leaving.start();
      if (isShort) return;
      await changeName(stage, 'next', [2, 3]);
      await stage.untilReached();
      await stage.meet({ backend: leaving.number });
    },
  },
  {
    name: 'a worker is killed (-9)',
    losesCalls: true,
    async act(stage, { random, isShort }) {
      for (const replica of isShort ? stage.replicas.slice(0, 1) : stage.replicas) {
        const before = replica.workers;
        const killed = random.pick(before);
        process.kill(killed, 'SIGKILL');
        await replica.until('with a new worker', async () => {
          const { workers } = replica;
          return workers.length === before.length && !workers.includes(killed);
        });
        await stage.meet({ replica: `${replica.number}` });
      }
    },
  },
];

/** Resolves when every replica has said so often that it uses other files. */
async function changeCertificates(stage: Stage, times: number, change: () => void): Promise<void> {
  const before = stage.replicas.map((replica) => replica.logged(CERTIFICATE_CHANGED));
  change();
  for (const [index, replica] of stage.replicas.entries()) {
    await replica.untilLogged(CERTIFICATE_CHANGED, before[index]! + times);
  }
}

/** Resolves when every replica knows the name by these addresses. */
async function changeName(stage: Stage, name: 'next', backends: readonly number[]): Promise<void> {
  stage.rename(`${name}.test`, backends);
  const wanted = String(backends.map((number) => stage.addressOf(number)).sort());
  for (const replica of stage.replicas) {
    await replica.until(`with ${name} at ${wanted}`, async () => {
      return String([...(await replica.addressesOf(name))].sort()) === wanted;
    });
  }
}

/** More than there are workers, each of which takes its turn. */
const HANDSHAKES = 4;

/** @throws Error unless all handshakes show this certificate */
async function demandShown(replica: Replica, path: string): Promise<void> {
  const { fingerprint256 } = new X509Certificate(readFileSync(path));
  for (let each = 0; each < HANDSHAKES; each++) {
    const socket = connect({
      host: replica.host,
      port: PORTS.tls,
      servername: PROXY_NAME,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    const shown = socket.getPeerX509Certificate()?.fingerprint256;
    socket.destroy();
    if (shown !== fingerprint256) throw new Error(`replica ${replica.number} shows an older certificate`);
  }
}
