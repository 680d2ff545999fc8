import { status } from '@grpc/grpc-js';
import t from 'tap';
import { backend, Example } from '../../support/example.js';
import { type BidiCall, echo, failWith, type Handlers } from '../../support/grpc-backend.js';

const PUT = '/etcdserverpb.KV/Put';
const RANGE = '/etcdserverpb.KV/Range';
const METHOD = '/any.Service/Method';

t.jobs = 2;

t.test('a write succeeds if it does at two of three replicas', { buffered: true }, async (t) => {
  const reads: string[] = [];
  let isFailing = false;
  const full = failWith(status.RESOURCE_EXHAUSTED, 'disk full');
  const handlers = (name: string, put: (call: BidiCall) => void): Handlers => ({
    [PUT]: put,
    [RANGE]: (call) => {
      reads.push(name);
      echo(call);
    },
  });
  const ports = {
    50061: await backend(t, handlers('primary', echo)),
    50062: await backend(t, handlers('first', echo)),
    50063: await backend(
      t,
      handlers('second', (call) => (isFailing ? full : echo)(call)),
    ),
    50064: await backend(t, handlers('third', full)),
  };
  const example = await Example.serve(t, 'replicate-with-quorum', ports);
  const client = example.client();
  t.equal((await client.call(PUT, ['bytes'])).code, status.OK);
  await example.child.printed(new RegExp(`http://127.0.0.1:${ports[50064]} misses a write: disk full`));
  isFailing = true;
  t.equal((await client.call(PUT, ['bytes'])).code, status.INTERNAL);
  await example.child.printed(new RegExp(`http://127.0.0.1:${ports[50063]} misses a write: disk full`));
  t.equal((await client.call(RANGE, ['bytes'])).code, status.OK);
  t.same(reads, ['primary']);
});

t.test(
  'a shadow that answers otherwise is told of, but not where versions of today differ, too',
  { buffered: true },
  async (t) => {
    let id = 0;
    const version = (suffix: string) => (call: BidiCall) => {
      call.on('data', (message: Buffer) => {
        const isAskedForId = String(message) === 'id';
        call.write(Buffer.from(isAskedForId ? `id ${++id}` : `${message}${suffix}`));
      });
      call.on('end', () => call.end());
      call.on('error', () => {});
    };
    const example = await Example.serve(t, 'shadow-and-compare', {
      50061: await backend(t, { [METHOD]: version('') }),
      50062: await backend(t, { [METHOD]: version('') }),
      50063: await backend(t, { [METHOD]: version('!') }),
    });
    const client = example.client();
    for (const message of ['id', 'other']) {
      const { code } = await client.call(METHOD, [message]);
      t.equal(code, status.OK);
    }
    await example.child.printed(/differs in its message/);
    t.equal(example.child.stdout.match(/differs/g)!.length, 1);
  },
);
