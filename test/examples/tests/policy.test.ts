import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Metadata, ServerCredentials, status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { cert, key } from '../../support/certificate.js';
import { backend, Example } from '../../support/example.js';
import { echo, failWith, GrpcBackend } from '../../support/grpc-backend.js';
import { type CallResult, GrpcClient } from '../../support/grpc-client.js';
import { decode, typeUrl } from '../../support/rpc-status.js';

const METHOD = '/any.Service/Method';

t.jobs = 2;

function metadataOf(fields: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}

t.test('who has a token may call, and not too often', { buffered: true }, async (t) => {
  const seen: Metadata[] = [];
  const port = await backend(t, {
    [METHOD]: (call) => {
      seen.push(call.metadata);
      echo(call);
    },
  });
  const client = (await Example.serve(t, 'auth-and-rate-limit', { 50061: port })).client();
  const call = (authorization?: string) =>
    client.call(METHOD, ['message'], metadataOf(authorization === undefined ? {} : { authorization }));
  for (const authorization of [undefined, '', 'Bearer', 'Bearer other', 'Bearer s3cret more']) {
    t.equal((await call(authorization)).code, status.UNAUTHENTICATED, String(authorization));
  }
  t.same(seen, []);
  // More than are taken within nine seconds.
  const results = await Promise.all(Array.from({ length: 100 }, () => call('Bearer s3cret')));
  const refused = results.filter(({ code }) => code === status.RESOURCE_EXHAUSTED);
  const taken = results.filter(({ code }) => code === status.OK);
  t.equal(refused.length + taken.length, 100);
  t.ok(refused.length > 0 && taken.length >= 10, `${taken.length} taken`);
  t.equal(seen.length, taken.length);
  for (const metadata of seen) {
    t.same([metadata.get('x-user'), metadata.get('authorization')], [['alice'], []]);
  }
  for (const { details, trailers } of refused) {
    const delay = delayOf(details, trailers);
    t.ok(delay > 0 && delay <= 100, `${delay} ms`);
  }
});

/** What a refused client is told to wait, in milliseconds. */
function delayOf(message: string, trailers: CallResult['trailers']): number {
  const [bytes] = trailers.get('grpc-status-details-bin');
  const decoded = decode('Status', Buffer.from(bytes!));
  const [detail] = decoded.details as { type_url: string; value: Buffer }[];
  if (decoded.message !== message || detail!.type_url !== typeUrl('RetryInfo'))
    throw new Error('other details');
  const { retry_delay } = decode('RetryInfo', detail!.value) as {
    retry_delay: { seconds?: string; nanos: number };
  };
  return Number(retry_delay.seconds ?? 0) * 1000 + retry_delay.nanos / 1e6;
}

t.test('metadata is rewritten, both ways', { buffered: true }, async (t) => {
  let seen = new Metadata();
  const trailers = metadataOf({ 'x-debug-info': 'at line 1', 'x-kept': 'yes' });
  const port = await backend(t, {
    [METHOD]: (call) => {
      seen = call.metadata;
      call.sendMetadata(metadataOf({ via: '1.1 other', 'x-kept': 'yes' }));
      failWith(status.ABORTED, 'no', trailers)(call);
    },
  });
  const client = (await Example.serve(t, 'rewrite-metadata', { 50061: port })).client();
  const sent = metadataOf({ cookie: 'a=b', forwarded: 'for=nonsense', 'x-kept': 'yes' });
  const result = await client.call(METHOD, ['message'], sent);
  t.same([result.code, result.details], [status.ABORTED, 'no']);
  t.same([seen.get('cookie'), seen.get('x-kept')], [[], ['yes']]);
  t.match(seen.get('forwarded'), [/^for="127\.0\.0\.1:\d+"$/]);
  t.same([result.headers!.get('via'), result.headers!.get('x-kept')], [['2 grpc-frame-proxy'], ['yes']]);
  t.same([result.trailers.get('x-debug-info'), result.trailers.get('x-kept')], [[], ['yes']]);
});

t.test('faults come to who asks for them', { buffered: true }, async (t) => {
  const port = await backend(t, { [METHOD]: echo });
  const client = (await Example.serve(t, 'fault-injection', { 50061: port })).client();
  const call = (fields: Readonly<Record<string, string>>, deadline?: number) =>
    client.call(METHOD, ['message'], metadataOf(fields), deadline === undefined ? {} : { deadline });
  t.equal((await call({})).code, status.OK);
  t.equal((await call({ 'x-fault-delay': 'soon', 'x-fault-percent': 'some' })).code, status.OK);
  const { code, details } = await call({ 'x-fault-percent': '100' });
  t.same([code, details], [status.UNAVAILABLE, 'this fault was asked for']);
  const startedAt = performance.now();
  t.equal((await call({ 'x-fault-delay': '100' })).code, status.OK);
  t.ok(performance.now() - startedAt >= 99);
  const late = await call({ 'x-fault-delay': '30000' }, Date.now() + 100);
  t.equal(late.code, status.DEADLINE_EXCEEDED);
});

async function certificates(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'example-'));
  t.teardown(() => rm(directory, { recursive: true }));
  // It is its own authority.
  await writeFile(join(directory, 'ca.pem'), cert);
  await writeFile(join(directory, 'proxy.pem'), cert);
  await writeFile(join(directory, 'proxy-key.pem'), key);
  return directory;
}

t.test('both sides show certificates, and a name in one is asked for', { buffered: true }, async (t) => {
  const ADMIN = '/admin.Service/Method';
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) };
  const serverCredentials = ServerCredentials.createSsl(Buffer.from(cert), [pair], true);
  const tlsBackend = await GrpcBackend.start({ [METHOD]: echo, [ADMIN]: echo }, {}, 0, serverCredentials);
  t.teardown(() => tlsBackend.destroy());
  const directory = await certificates(t);
  const texts = { 'tls/': `${directory}/` };
  const ports = { 50061: tlsBackend.port };
  const call = async ({ port }: Example, method: string, shown = true) => {
    const ca = Buffer.from(cert);
    const client = new GrpcClient(
      `localhost:${port}`,
      shown ? credentials.createSsl(ca, Buffer.from(key), ca) : credentials.createSsl(ca),
    );
    const { code } = await client.call(method, ['message']);
    client.close();
    return code;
  };
  const example = await Example.serve(t, 'mutual-tls', ports, texts);
  t.equal(await call(example, METHOD), status.OK);
  t.equal(await call(example, METHOD, false), status.UNAVAILABLE);
  t.equal(await call(example, ADMIN), status.PERMISSION_DENIED);
  await cp(join(directory, 'ca.pem'), join(directory, 'proxy.pem'));
  example.child.signal('SIGHUP');
  t.equal(await call(example, METHOD), status.OK);
  const admin = await Example.serve(t, 'mutual-tls', ports, {
    ...texts,
    'admin.example.com': 'backend.test',
  });
  t.equal(await call(admin, ADMIN), status.OK);
});
