import http2 from 'node:http2';
import { Code, encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';

import { METHOD, MIB, peeking, rejection, wire } from '../support/peeking.js';

behaviour('a message over the limit is RESOURCE_EXHAUSTED by its prefix alone', async (t, world) => {
  const { client, sessions } = await peeking(world, (peeker) => peeker.peek());
  const prefixes = { '4 GiB': [0xff, 0xff, 0xff, 0xff], '4 MiB + 1': [0x00, 0x40, 0x00, 0x01] };
  for (const [name, length] of Object.entries(prefixes)) {
    const before = process.memoryUsage();
    const stream = client.open(METHOD);
    const answer = new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
    // Nothing but the prefix, and no half-close.
    stream.write(Buffer.of(0, ...length));
    const headers = await answer;
    stream.resume();
    t.equal(headers['grpc-status'], String(Code.RESOURCE_EXHAUSTED), name);
    t.match(headers['grpc-message'], /over the limit of 4194304 bytes/);
    const after = process.memoryUsage();
    t.ok(after.arrayBuffers - before.arrayBuffers < 2 * MIB, 'nothing was allocated for it');
    t.ok(after.rss - before.rss < 64 * MIB);
  }
  t.equal(sessions.length, 0, 'no backend was contacted');
});

behaviour('a message of just the limit passes', async (t, world) => {
  const peeked: number[] = [];
  const { client, received } = await peeking(
    world,
    async (peeker) => peeked.push((await peeker.peek())[0]!.payload.length),
    100_000,
  );
  const body = encodeMessage(Buffer.alloc(100_000, 1));
  await client.call(METHOD, body);
  await client.call(METHOD, Buffer.concat([body, wire('more')]));
  t.same(peeked, [100_000, 100_000]);
  t.same(received, [body, Buffer.concat([body, wire('more')])]);
});

behaviour(
  'messages over the limit all together are RESOURCE_EXHAUSTED, however they are cut',
  async (t, world) => {
    const peeked: unknown[] = [];
    const { client, received } = await peeking(
      world,
      async (peeker) => {
        peeked.push(await rejection(peeker.peek(3)));
        peeked.push((await peeker.peek(2)).length);
      },
      100,
    );
    const body = Buffer.concat([40, 40, 40].map((length) => encodeMessage(Buffer.alloc(length, 7))));
    for (const size of [body.length, 45, 7, 1]) {
      const stream = client.open(METHOD);
      stream.resume();
      for (let offset = 0; offset < body.length; offset += size) {
        await new Promise((resolve) => stream.write(body.subarray(offset, offset + size), resolve));
      }
      stream.end();
      await new Promise((resolve) => stream.on('close', resolve));
      t.match(peeked[0], { code: Code.RESOURCE_EXHAUSTED, message: /peek limit of 100 bytes/ });
      t.equal(peeked[1], 2, 'what is within the limit can be peeked');
      t.same(received, [body], 'and a director that does not mind can proxy the call');
      peeked.length = 0;
      received.length = 0;
    }
  },
);

behaviour('the limit ends a peek before the message that is over it is complete', async (t, world) => {
  const { client, sessions } = await peeking(world, (peeker) => peeker.peek(2), 100);
  const stream = client.open(METHOD);
  const answer = new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
  stream.resume();
  // 60 bytes, and 50 of another 90; no half-close.
  const body = Buffer.concat([60, 90].map((length) => encodeMessage(Buffer.alloc(length))));
  stream.write(body.subarray(0, 5 + 60 + 5 + 50));
  t.equal((await answer)['grpc-status'], String(Code.RESOURCE_EXHAUSTED));
  t.equal(sessions.length, 0);
});

behaviour('empty messages count by their prefixes, or they would be endless', async (t, world) => {
  const { client, sessions } = await peeking(world, (peeker) => peeker.peek(Number.MAX_SAFE_INTEGER), 1000);
  const stream = client.open(METHOD);
  const answer = new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
  stream.resume();
  // No half-close: the limit alone ends it.
  stream.write(Buffer.alloc(5 * 1000));
  t.equal((await answer)['grpc-status'], String(Code.RESOURCE_EXHAUSTED));
  t.equal(sessions.length, 0);
});

behaviour('a client that cancels while being peeked at rejects the peek', async (t, world) => {
  const entered = deferred();
  const rejected = deferred<unknown>();
  const aborted = deferred<unknown>();
  const { client, sessions } = await peeking(world, async (peeker, signal) => {
    signal.addEventListener('abort', () => aborted.resolve(signal.reason));
    const peeked = peeker.peek(2);
    entered.resolve();
    const error = await rejection(peeked);
    rejected.resolve([error, await rejection(peeker.peek(2))]);
    throw new Error('the outcome is settled already');
  });
  const stream = client.open(METHOD, {}, true);
  stream.write(wire('one'));
  await entered.promise;
  stream.close(http2.constants.NGHTTP2_CANCEL);
  t.match(await rejected.promise, [{ code: Code.CANCELLED }, { code: Code.CANCELLED }], 'those to come, too');
  t.match(await aborted.promise, { code: Code.CANCELLED });
  t.equal(sessions.length, 0, 'no backend was contacted');
});

behaviour('a client that disconnects while being peeked at rejects the peek', async (t, world) => {
  const entered = deferred();
  const rejected = deferred<unknown>();
  const { client, sessions } = await peeking(world, async (peeker) => {
    const peeked = peeker.peek();
    entered.resolve();
    const error = await rejection(peeked);
    rejected.resolve(error);
    throw error;
  });
  client.open(METHOD);
  await entered.promise;
  client.session.destroy();
  t.match(await rejected.promise, { code: Code.CANCELLED });
  t.equal(sessions.length, 0);
});

behaviour('a deadline that passes while peeking rejects the peek', async (t, world) => {
  const errors: unknown[] = [];
  const { client, sessions } = await peeking(world, async (peeker) => {
    const error = await rejection(peeker.peek());
    errors.push(error);
    throw error;
  });
  const stream = client.open(METHOD, { 'grpc-timeout': '40m' });
  const answer = new Promise<Record<string, unknown>>((resolve) => stream.on('response', resolve));
  stream.write(wire('hello').subarray(0, 6));
  t.equal((await answer)['grpc-status'], String(Code.DEADLINE_EXCEEDED));
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  t.match(errors, [{ code: Code.DEADLINE_EXCEEDED }]);
  t.equal(sessions.length, 0);
});

behaviour('peeking after the deadline keeps no stream open', async (t, world) => {
  const passed = deferred<unknown>();
  const { client } = await peeking(world, async (peeker, signal) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    passed.resolve(await rejection(peeker.peek()));
    throw new Error('too late');
  });
  const stream = client.open(METHOD, { 'grpc-timeout': '20m' });
  stream.write(wire('hello'));
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  t.match(await passed.promise, { code: Code.DEADLINE_EXCEEDED });
});
