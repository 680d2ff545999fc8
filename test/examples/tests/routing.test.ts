import { compressionAlgorithms, Metadata, status } from '@grpc/grpc-js';
import t from 'tap';
import { backend, Example } from '../../support/example.js';
import { type BidiCall, echo, failWith } from '../../support/grpc-backend.js';

const METHOD = '/any.Service/Method';
const PUT = '/etcdserverpb.KV/Put';

t.jobs = 2;

/** Answers with its name, half-closed. */
const answer = (name: string) => (call: BidiCall) => {
  call.resume();
  call.on('end', () => {
    call.write(Buffer.from(name));
    call.end();
  });
};

/** `string key = 1` */
const keyed = (key: string): Buffer => Buffer.from([0x0a, key.length, ...Buffer.from(key)]);

t.test('calls are sharded by a field of their first message', { buffered: true }, async (t) => {
  const example = await Example.serve(t, 'shard-by-field', {
    50061: await backend(t, { [PUT]: answer('first') }),
    50062: await backend(t, { [PUT]: answer('second') }),
  });
  const client = example.client();
  const compressing = example.client({ 'grpc.default_compression_algorithm': compressionAlgorithms.gzip });
  for (const [key, name] of [
    ['apple', 'first'],
    ['zebra', 'second'],
  ] as const) {
    for (const each of [client, compressing]) {
      const { messages } = await each.call(PUT, [keyed(key)]);
      t.same(messages.map(String), [name]);
    }
  }
  for (const messages of [[], [''], ['no protobuf']]) {
    const { code, details } = await client.call(PUT, messages);
    t.same([code, details], [status.INVALID_ARGUMENT, 'no key to choose a backend by']);
  }
  t.equal((await client.call('/etcdserverpb.KV/Txn', [keyed('apple')])).code, status.UNIMPLEMENTED);
});

t.test('a canary gets the calls of some users, always', { buffered: true }, async (t) => {
  const example = await Example.serve(t, 'canary', {
    50061: await backend(t, { [METHOD]: echo }),
    50062: await backend(t, { [METHOD]: failWith(status.INTERNAL, 'new mistake') }),
  });
  const client = example.client();
  const codeFor = async (user: string) => {
    const metadata = new Metadata();
    metadata.set('x-user', user);
    return (await client.call(METHOD, ['message'], metadata)).code;
  };
  const users = Array.from({ length: 200 }, (_, i) => `user-${i}`);
  const first = await Promise.all(users.map(codeFor));
  t.same(await Promise.all(users.map(codeFor)), first);
  const drawn = first.filter((code) => code === status.INTERNAL).length;
  t.ok(drawn > 0 && drawn < 30, `${drawn} of 200`);
  await example.child.printed(/^canary: \/any\.Service\/Method: new mistake$/m);
  t.notMatch(example.child.output, /^stable:/m);
});

t.test('a name is resolved, and a call tried again', { buffered: true }, async (t) => {
  let calls = 0;
  const port = await backend(t, {
    [METHOD]: (call) => (++calls === 1 ? failWith(status.UNAVAILABLE, 'not now')(call) : echo(call)),
  });
  const name = { 'backend.example.com': 'localhost' };
  const example = await Example.serve(t, 'dns-balancing', { 50061: port }, name);
  const { code, messages } = await example.client().call(METHOD, ['message']);
  t.same([code, messages.map(String), calls], [status.OK, ['message'], 2]);
});
