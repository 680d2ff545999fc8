import { join } from 'node:path';
import t, { type Test } from 'tap';
import { portOf, startCommand } from '../support/command.js';
import { missing } from '../support/missing.js';
import { Client, etcd, temporaryDirectory } from './etcd.js';

// The command between etcd and its client: gRPC of Go on both sides, an API that nobody wrote for tests.

async function proxy(t: Test, transport: string, target: string): Promise<number> {
  return portOf(startCommand(t, '--listen', '127.0.0.1:0', '--primary', target, '--transport', transport));
}

t.setTimeout(60_000);

t.test('etcd and etcdctl', { skip: missing('etcd', 'etcdctl') }, async (t) => {
  const etcdPort = await etcd(t);
  const direct = `127.0.0.1:${etcdPort}`;
  // The client of 3.4 does so in `endpoint status`, if its endpoint is a URL.
  const sendsUrlAsAuthority = /version: 3\.4\./.test(await new Client(t, direct).run(['version']));

  for (const transport of ['http2', 'frames']) {
    t.test(`through the command on ${transport}`, async (t) => {
      const proxied = `127.0.0.1:${await proxy(t, transport, `http://${direct}`)}`;

      t.test('put, get and del', async (t) => {
        const client = new Client(t, proxied);
        t.equal(await client.run(['put', 'plain', 'value']), 'OK\n');
        t.equal(await client.run(['get', 'plain']), 'plain\nvalue\n');
        t.equal(await new Client(t, direct).run(['get', 'plain']), 'plain\nvalue\n', 'etcd itself has it');
        t.equal(await client.run(['del', 'plain']), '1\n');
        t.equal(await client.run(['get', 'plain']), '');
      });

      t.test('a value of a megabyte', async (t) => {
        const client = new Client(t, proxied);
        const value = 'v'.repeat(1024 * 1024);
        t.equal(await client.run(['put', 'large'], value), 'OK\n');
        t.ok((await client.run(['get', 'large', '--print-value-only'])) === `${value}\n`, 'comes back');
        await client.run(['del', 'large']);
      });

      t.test('a transaction takes the branch that its condition says', async (t) => {
        const client = new Client(t, proxied);
        await client.run(['put', 'condition', 'yes']);
        const transaction = 'value("condition") = "yes"\n\nput condition no\n\nget condition\n\n';
        t.equal(await client.run(['txn'], transaction), 'SUCCESS\n\nOK\n');
        t.equal(await client.run(['txn'], transaction), 'FAILURE\n\ncondition\nno\n');
      });

      t.test("a lease's keys live as long as it does, which a watch sees", async (t) => {
        const client = new Client(t, proxied);
        const granted = await client.run(['lease', 'grant', '600']);
        const id = /^lease (\w+) granted with TTL\(600s\)/.exec(granted)?.[1] ?? '';
        await client.run(['put', 'leased', 'value', `--lease=${id}`]);
        t.match(await client.run(['lease', 'timetolive', id, '--keys']), 'attached keys([leased])');
        t.match(await client.run(['lease', 'keep-alive', '--once', id]), 'TTL(600)');
        const watch = client.start(['watch', 'leased', '--rev=1']);
        await watch.printed(/PUT\nleased\nvalue\n/);
        await client.run(['lease', 'revoke', id]);
        await watch.printed(/DELETE\nleased\n/);
        t.equal(await client.run(['get', 'leased']), '');
      });

      t.test('a watch sees what others put, as it happens', async (t) => {
        const client = new Client(t, proxied);
        await client.run(['put', 'watched', 'before']);
        const watch = client.start(['watch', 'watched', '--rev=1']);
        await watch.printed(/before\n/);
        for (const value of ['first', 'second']) {
          await new Client(t, direct).run(['put', 'watched', value]);
          await watch.printed(new RegExp(`PUT\nwatched\n${value}\n`));
        }
      });

      t.test('a lock, which is a lease, a transaction and a watch', async (t) => {
        const client = new Client(t, proxied);
        t.equal(await client.run(['lock', 'name', 'echo', 'held']), 'held\n');
      });

      t.test('a snapshot comes whole', async (t) => {
        const client = new Client(t, proxied);
        const file = join(await temporaryDirectory(t), 'snapshot');
        await client.run(['snapshot', 'save', file]);
        // It has a hash of itself, which this checks.
        t.match(await client.run(['snapshot', 'status', file, '--write-out=json']), '"totalKey"');
      });

      t.test("etcd's errors arrive as they are", async (t) => {
        const client = new Client(t, proxied);
        const put = client.start(['put', 'key', 'value', '--lease=1234']);
        t.not(await put.ended(), 0);
        t.match(put.output, /code = NotFound desc = etcdserver: requested lease not found/);
      });

      t.test('endpoints are healthy and tell their state', async (t) => {
        const client = new Client(t, proxied);
        t.match(await client.run(['endpoint', 'health']), 'is healthy');
        t.match(await client.run(['endpoint', 'status']), /, \d+\.\d+\.\d+, /);
        t.match(await client.run(['member', 'list']), 'started');
      });

      const refused = transport === 'http2' && sendsUrlAsAuthority;
      t.test(`an :authority that is a URL is ${refused ? 'refused by nghttp2' : 'passed on'}`, async (t) => {
        const status = new Client(t, `http://${proxied}`).start(['endpoint', 'status']);
        t.equal(await status.ended(), refused ? 1 : 0);
        t.match(status.output, refused ? /RST_STREAM with error code: PROTOCOL_ERROR/ : /, \d+\.\d+\.\d+, /);
      });
    });
  }
});
