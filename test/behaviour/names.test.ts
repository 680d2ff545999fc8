import { mkdtemp, rm } from 'node:fs/promises';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { dial } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { cert, key } from '../support/certificate.js';
import { eventually } from '../support/eventually.js';
import { Http2Backend, type OnRequest, respond } from '../support/http2-backend.js';
import type { Response } from '../support/http2-client.js';
import { type NameAnswer, NameServer } from '../support/name-server.js';
import { MESSAGE, METHOD, message, ok, proxied, status } from '../support/unary.js';
import { within } from '../support/within.js';

/** All of 127.0.0.0/8 is the loopback interface, on Linux. */
const LOOPBACK = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;

/** What each host answers, all on one port; undefined: nobody listens there. */
async function backendsAt(t: Test, onRequests: readonly (OnRequest | undefined)[]) {
  let port = 0;
  const backends: Http2Backend[] = [];
  for (const [i, onRequest] of onRequests.entries()) {
    if (onRequest === undefined) continue;
    const backend = await Http2Backend.start(onRequest, {}, port, LOOPBACK[i]);
    t.teardown(() => backend.destroy());
    backends.push(backend);
    ({ port } = backend);
  }
  return { port, backends };
}

async function nameServer(t: Test, answer: NameServer['answer']): Promise<NameServer> {
  const server = await NameServer.start(answer);
  t.teardown(() => server.destroy());
  return server;
}

const addresses = (...all: string[]): NameAnswer => ({ addresses: all, ttlSeconds: 0 });

function statuses(responses: readonly Response[]): Set<string | undefined> {
  return new Set(responses.map(status));
}

for (const loadBalancing of ['round_robin', 'least_request', 'pick_first'] as const) {
  behaviour(`${loadBalancing}: no call fails where one of two addresses is dead`, async (t, world) => {
    const { port } = await backendsAt(t, [ok]);
    const names = await nameServer(t, () => addresses(LOOPBACK[0], LOOPBACK[1]));
    const conn = world.dial(`dns://${names.address}/backend.test:${port}`, { loadBalancing });
    const client = await proxied(world, { conn });
    const calls = () => Promise.all(Array.from({ length: 50 }, () => client.call(METHOD, MESSAGE)));
    t.same(statuses(await within(3000, 'the first calls', calls())), new Set(['0']));
    t.same(statuses(await within(3000, 'further calls', calls())), new Set(['0']));
    t.same(
      new Set(conn.addresses.map(({ address }) => address)),
      new Set([`127.0.0.1:${port}`, `127.0.0.2:${port}`]),
    );
  });

  behaviour(`${loadBalancing}: no call fails while addresses change`, async (t, world) => {
    const seen = [0, 0, 0];
    const answerLater =
      (index: number): OnRequest =>
      ({ stream }) => {
        seen[index]!++;
        // So that calls run when their address goes.
        setTimeout(() => {
          if (!stream.destroyed) respond(stream, MESSAGE);
        }, 20);
      };
    const { port } = await backendsAt(t, [0, 1, 2].map(answerLater));
    let answer = addresses(LOOPBACK[0], LOOPBACK[1]);
    const names = await nameServer(t, () => answer);
    const conn = world.dial(`dns://${names.address}/backend.test:${port}`, {
      loadBalancing,
      limits: { resolutionIntervalMilliseconds: 20 },
    });
    const client = await proxied(world, { conn });
    const responses: Response[] = [];
    let isOver = false;
    const caller = async (): Promise<void> => {
      while (!isOver) responses.push(await client.call(METHOD, MESSAGE));
    };
    const callers = Promise.all(Array.from({ length: 8 }, caller));
    for (const hosts of [[1, 2], [2], [0, 2], [0], [0, 1, 2]]) {
      answer = addresses(...hosts.map((host) => LOOPBACK[host]!));
      const expected = hosts.map((host) => `${LOOPBACK[host]}:${port}`);
      await eventually('the addresses', () => {
        const known = conn.addresses.map(({ address }) => address);
        return known.length === expected.length && expected.every((each) => known.includes(each));
      });
      const { length } = responses;
      await eventually('calls there', () => responses.length >= length + 16);
    }
    isOver = true;
    await within(3000, 'the calls that run', callers);
    t.same(statuses(responses), new Set(['0']));
    t.ok(seen[0]! + seen[1]! + seen[2]! >= responses.length);
    if (loadBalancing !== 'pick_first') for (const count of seen) t.ok(count > 0, seen.join());
  });
}

behaviour('1000 calls to an unknown name fail with it, by one resolution', async (t, world) => {
  const names = await nameServer(t, () => 'NXDOMAIN');
  const target = `dns://${names.address}/backend.test:1`;
  const client = await proxied(world, { conn: world.dial(target) });
  const calls = Array.from({ length: 1000 }, () => client.call(METHOD, MESSAGE));
  const responses = await within(15_000, 'all calls', Promise.all(calls));
  t.same(statuses(responses), new Set(['14']));
  t.equal(message(responses[0]!), `cannot connect to ${target}: the name "backend.test" is not known`);
  t.same([...names.queries].sort(), ['A backend.test', 'AAAA backend.test']);
});

behaviour('a certificate must be for the name, whatever it stands for', async (t, world) => {
  const authorities: (string | undefined)[] = [];
  const server = http2.createSecureServer({ key, cert });
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    authorities.push(headers[':authority']);
    respond(stream, MESSAGE);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const names = await nameServer(t, () => addresses(LOOPBACK[0]));
  const call = async (name: string) => {
    const conn = world.dial(`dns://${names.address}/${name}:${port}`, { tls: { ca: cert } });
    const response = await (await proxied(world, { conn })).call(METHOD, MESSAGE);
    conn.destroy();
    return response;
  };
  t.equal(status(await call('backend.test')), '0');
  const response = await call('other.test');
  t.equal(status(response), '14');
  t.match(message(response), /certificate/);
  t.same(authorities, [`backend.test:${port}`]);
});

behaviour('several targets are the addresses of one backend, each with its authority', async (t, world) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'names-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const seen = new Map<string, number>();
  const count: OnRequest = ({ stream, headers }) => {
    const authority = headers[':authority']!;
    seen.set(authority, (seen.get(authority) ?? 0) + 1);
    respond(stream, MESSAGE);
  };
  const { port } = await backendsAt(t, [count]);
  const server = http2.createServer();
  server.on('stream', (stream, headers) => count({ stream, headers } as Parameters<OnRequest>[0]));
  const socket = path.join(directory, 'backend');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => server.close());
  const conn = dial([`unix:${socket}`, `127.0.0.1:${port}`], { transport: world.transports.client });
  t.teardown(() => conn.destroy());
  const client = await proxied(world, { conn });
  const call = () => client.call(METHOD, MESSAGE);
  t.equal(status(await call()), '0');
  await eventually('both connections', () => conn.addresses.every(({ state }) => state.name === 'READY'));
  seen.clear();
  for (let i = 0; i < 10; i++) t.equal(status(await call()), '0');
  t.same(Object.fromEntries(seen), { localhost: 5, [`127.0.0.1:${port}`]: 5 });
});
