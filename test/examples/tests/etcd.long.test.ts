import t from 'tap';
import { Client, etcd } from '../../interop/etcd.js';
import { Example } from '../../support/example.js';
import { freePort } from '../../support/free-port.js';
import { missing } from '../../support/missing.js';

t.jobs = 2;

t.test("etcd's keys are sharded", { buffered: true, skip: missing('etcd', 'etcdctl') }, async (t) => {
  const [first, second] = await Promise.all([etcd(t), etcd(t)]);
  const example = await Example.serve(t, 'shard-by-field', { 50061: first, 50062: second });
  const through = new Client(t, `127.0.0.1:${example.port}`);
  for (const [key, port] of [
    ['apple', first],
    ['zebra', second],
  ] as const) {
    t.equal(await through.run(['put', key, 'value']), 'OK\n');
    t.equal(await through.run(['get', key]), `${key}\nvalue\n`);
    const direct = new Client(t, `127.0.0.1:${port}`);
    t.equal(await direct.run(['get', '--prefix', '', '--keys-only']), `${key}\n\n`);
  }
});

t.test(
  'etcd is replicated, also while one is down',
  { buffered: true, skip: missing('etcd', 'etcdctl') },
  async (t) => {
    const running = await Promise.all([etcd(t), etcd(t), etcd(t)]);
    const example = await Example.serve(t, 'replicate-with-quorum', {
      50061: running[0]!,
      50062: running[1]!,
      50063: running[2]!,
      50064: await freePort(),
    });
    const through = new Client(t, `127.0.0.1:${example.port}`);
    t.equal(await through.run(['put', 'apple', 'red']), 'OK\n');
    t.equal(await through.run(['get', 'apple']), 'apple\nred\n');
    for (const port of running) {
      t.equal(await new Client(t, `127.0.0.1:${port}`).run(['get', 'apple']), 'apple\nred\n');
    }
    await example.child.printed(/misses a write: .*connection refused/);
  },
);

t.test(
  'a program asks etcd for its health',
  { buffered: true, skip: missing('etcd', 'etcdctl') },
  async (t) => {
    const port = await etcd(t);
    await new Client(t, `127.0.0.1:${port}`).run(['put', 'ready', 'yes']);
    const { child } = await Example.run(t, 'client-call', { 50061: port });
    t.equal(await child.ended(), 0);
    t.equal(child.output, 'serving\n');
  },
);
