import type { ServerHttp2Stream } from 'node:http2';
import { encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';
import { ProxyChild } from '../support/proxy-child.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const REQUEST = encodeMessage(Buffer.from('request'));
const MIB = 1024 * 1024;

behaviour('a primary that does not read holds the client back, not memory', async (t, world) => {
  const total = 300 * MIB;
  let primary: ServerHttp2Stream | undefined;
  let received = 0;
  const arrived = new Countdown(1);
  const backend = await world.http2Backend(({ stream }) => {
    primary = stream;
    arrived.tick();
  });
  const proxy = await ProxyChild.start(t, {
    transports: world.transports,
    primary: `127.0.0.1:${backend.port}`,
  });
  const client = world.http2Client(proxy.port);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  stream.write(REQUEST);
  await within(15_000, 'the call', arrived.done);
  const before = await proxy.measure();

  const message = encodeMessage(Buffer.alloc(MIB));
  let sent = 0;
  const pour = (): void => {
    while (sent < total && stream.writable) {
      sent += MIB;
      if (!stream.write(message)) return;
    }
    if (sent >= total) stream.end();
  };
  stream.on('drain', pour);
  pour();
  // Held back: nothing moves for as long as it takes to measure a few times.
  let last = before;
  for (let held = 0; held < 5; ) {
    const sentBefore = sent;
    last = await proxy.measure();
    held = sent === sentBefore ? held + 1 : 0;
  }
  t.ok(sent < 8 * MIB, `the client was held back after ${sent} bytes`);
  t.ok(last.rss - before.rss < 64 * MIB, `the process grew by ${last.rss - before.rss} bytes`);

  primary!.on('data', (data: Buffer) => {
    received += data.length;
  });
  primary!.on('end', () => respond(primary!));
  const { trailers } = await within(20_000, 'the rest', response);
  t.equal(fieldValue(trailers, 'grpc-status'), '0');
  t.equal(received, REQUEST.length + (total / MIB) * message.length);
  const after = await proxy.measure();
  t.ok(after.held - before.held < 8 * MIB, `it holds ${after.held - before.held} bytes more than before`);
});
