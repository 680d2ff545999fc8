import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import t from 'tap';
import { GrpcClient } from '../support/grpc-client.js';
import { collectResponse, Http2Client } from '../support/http2-client.js';
import { MESSAGE, status } from '../support/unary.js';
import { within } from '../support/within.js';
import { configOf, echo, Folder, METHOD, Operated, startBackend } from './operated.js';

/** Calls while the workers are replaced, at least. */
const CALLS = process.env.INTEROP_LONG === undefined ? 750 : 10_000;

const CONNECTIONS = 6;

for (const transport of ['http2', 'frames']) {
  t.test(`workers are replaced with not one failed call of ${CALLS} (${transport})`, async (t) => {
    const primary = await startBackend(t);
    const operated = await Operated.start(
      t,
      ...['--primary', `127.0.0.1:${primary.port}`, '--workers', '2', '--transport', transport],
    );
    const workers = await operated.workers();
    const failures: string[] = [];
    let calls = 0;
    let isOver = false;
    const call = async (client: GrpcClient): Promise<void> => {
      const { code, details } = await client.call(METHOD, ['hello']);
      calls++;
      if (code !== 0) failures.push(`${code} ${details}`);
    };
    const kept = Array.from({ length: CONNECTIONS }, async () => {
      const client = operated.client();
      while (!isOver) await call(client);
    });
    // Connections that come just then.
    const fresh = [1, 2].map(async () => {
      while (!isOver) {
        const client = new GrpcClient(operated.port);
        await call(client);
        client.close();
      }
    });
    let rounds = 0;
    while (calls < CALLS) {
      rounds++;
      if (rounds % 2 === 0) t.equal((await operated.post('/restart')).status, 202);
      else operated.command.signal('SIGUSR2');
      await operated.said(new RegExp(`(worker 2 \\(process \\d+\\) is replaced by[^]*){${rounds}}`));
    }
    isOver = true;
    await Promise.all([...kept, ...fresh]);
    t.strictSame(failures, [], `${rounds} times`);
    const now = await operated.workers();
    t.strictSame([now.length, now.filter((pid) => workers.includes(pid))], [2, []], 'they are others');
    t.equal(await operated.end(), 0);
  });
}

t.test('SIGTERM while workers are replaced lets the calls of all of them finish', async (t) => {
  const primary = await startBackend(t, echo);
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${primary.port}`, '--workers', '2');
  // One in each worker.
  const open = async () => {
    const client = new Http2Client(operated.port);
    t.teardown(() => client.destroy());
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    const goaway = once(client.session, 'goaway');
    const call = { stream, response, goaway };
    await echoed(call.stream);
    return call;
  };
  const [one, other] = [await open(), await open()];
  operated.command.signal('SIGUSR2');
  const leavesFirst = await Promise.race([one.goaway.then(() => one), other.goaway.then(() => other)]);
  const leavesLast = leavesFirst === one ? other : one;
  t.equal((await operated.workers()).length, 3);

  operated.command.signal('SIGTERM');
  await leavesLast.goaway;
  await echoed(leavesLast.stream);
  leavesLast.stream.end();
  t.equal(status(await leavesLast.response), '0');
  await operated.eventually(
    'the other workers end',
    () => operated.workers(),
    ({ length }) => length === 1,
  );
  await echoed(leavesFirst.stream);
  t.notMatch(operated.command.stderr, /drained/);
  leavesFirst.stream.end();
  t.equal(status(await leavesFirst.response), '0');
  t.equal(await operated.ended(), 0);
  t.match(operated.command.stderr, /: drained\n$/);
});

t.test('a reload while workers are replaced reaches those on their way, too', async (t) => {
  const [one, other] = [await startBackend(t), await startBackend(t)];
  const folder = await Folder.make(t);
  const file = await folder.write('proxy.yaml', configOf({ one }));
  const operated = await Operated.start(t, '--config', file, '--workers', '2');
  await folder.write('proxy.yaml', configOf({ other }));
  operated.command.signal('SIGUSR2');
  await operated.eventually(
    'a third process',
    () => operated.workers(),
    ({ length }) => length === 3,
  );
  t.equal((await operated.post('/reload')).status, 202);
  for (let i = 0; i < 6; i++) t.equal((await operated.callOnce()).code, 0);
  await operated.said(/worker 2 \(process \d+\) is replaced by/);
  for (let i = 0; i < 6; i++) t.equal((await operated.callOnce()).code, 0);
  t.strictSame([one.calls, other.calls], [0, 12]);
  t.equal(await operated.end(), 0);
});

/** Waits until what is sent comes back. */
async function echoed(stream: ClientHttp2Stream): Promise<void> {
  const data = once(stream, 'data');
  stream.write(MESSAGE);
  await within(20_000, 'an echo', data);
}
