import type { ClientHttp2Stream } from 'node:http2';
import { dial, encodeMessage } from '../../lib/index.js';
import { nodeIsAtLeast } from '../../lib/transport/http2/node-version.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import {
  dataOf,
  END,
  ErrorCode,
  FrameType,
  goAway,
  headers,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';

const LARGE_WINDOW = 2 ** 30;
const LARGE = encodeMessage(Buffer.alloc(32 * 1024 * 1024));

// Calls that have a connection, and are stuck behind what its backend does not read, when it goes.

const SOON = { timeMilliseconds: 300, timeoutMilliseconds: 300 };

for (const [how, cut, keepalive] of [
  ['is reset', (connection: FramePeer) => void connection.socket.resetAndDestroy(), undefined],
  ['is found dead', () => {}, SOON],
] as const) {
  behaviour(
    `a call that nothing was sent of when its connection ${how}: again, elsewhere`,
    async (t, world) => {
      const opened = [deferred(), deferred(), deferred()];
      let calls = 0;
      const backend = await world.frameBackend(async (connection) => {
        const isFirst = backend.connections.length === 1;
        connection.send(settings([Setting.INITIAL_WINDOW_SIZE, LARGE_WINDOW]), windowUpdate(0, LARGE_WINDOW));
        await connection.first(1, FrameType.HEADERS);
        if (isFirst) {
          connection.socket.pause();
          return;
        }
        for (const id of [1, 3]) {
          await connection.until(() => connection.hasEnded(id));
          connection.send(headers(id, RESPONSE));
          connection.send(headers(id, TRAILERS, END));
        }
      });
      const conn = world.dial(backend.port, { limits: keepalive && { keepalive } });
      const proxy = await world.proxy(() => {
        opened[calls++]!.resolve();
        return { primary: { conn } };
      });
      const client = world.http2Client(proxy.port);
      const upload = client.open(METHOD);
      const uploaded = collectResponse(upload);
      const pouring = pour(upload);
      const first = await backend.accept();
      await standstill(() => pouring.sent);
      const stuck = [client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)];
      await Promise.all(opened.map(({ promise }) => promise));
      await client.roundTrip();
      cut(first);
      t.equal(status(await uploaded), '14', 'what has been sent in part is not tried again');
      const answers = (await Promise.all(stuck)).map(status);
      // It may write on to the broken connection before it says a word (NODE-HTTP2.md, "The end of a connection").
      const mayBeSent = how === 'is reset' && world.transports.client === 'http2' && !nodeIsAtLeast(26, 0);
      if (mayBeSent && answers.every((answer) => answer === '14')) return;
      t.strictSame(answers, ['0', '0']);
      const second = await backend.accept();
      for (const id of [1, 3]) t.ok(dataOf(second.of(id, FrameType.DATA)).equals(MESSAGE));
      t.equal(backend.connections.length, 2);
      first.socket.resume();
      await first.closed;
      t.strictSame(
        [3, 5].map((id) => first.of(id).length),
        [0, 0],
        'and nothing of them arrives late',
      );
    },
  );
}

behaviour('a call that nothing was sent of goes to another address where there is one', async (t, world) => {
  const stuck = await world.frameBackend(async (connection) => {
    // It is not there again.
    if (stuck.connections.length > 1) return;
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, LARGE_WINDOW]), windowUpdate(0, LARGE_WINDOW));
    await connection.first(1, FrameType.HEADERS);
    connection.socket.pause();
  });
  const well = await world.http2Backend(({ stream }) => respond(stream));
  const targets = [stuck.port, well.port].map((port) => `127.0.0.1:${port}`);
  const conn = dial(targets, { transport: world.transports.client, limits: { keepalive: SOON } });
  t.teardown(() => conn.destroy());
  conn.connect();
  await eventually('both', () => conn.addresses.every(({ state }) => state.name === 'READY'));
  let calls = 0;
  const proxy = await world.proxy(() => {
    calls++;
    return { primary: { conn } };
  });
  const client = world.http2Client(proxy.port);
  // By turns: one of the first two is stuck.
  const uploads = [client.open(METHOD), client.open(METHOD)];
  const responses = uploads.map(collectResponse);
  const pouring = uploads.map(pour);
  await stuck.accept();
  await standstill(() => pouring[0]!.sent + pouring[1]!.sent);
  const answers = await Promise.all([client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)]);
  t.strictSame(answers.map(status), ['0', '0']);
  t.equal(calls, 4);
  t.strictSame((await Promise.all(responses)).map(status).sort(), ['0', '14']);
});

behaviour('a call that was sent when its connection goes fails', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.HEADERS);
    connection.socket.destroy();
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(status(response), '14');
  t.match(fieldValue(response.headers, 'grpc-message'), /was lost/);
  t.equal(backend.connections.length, 1);
});

behaviour(
  'a backend that takes every call down with its connection is not called in a loop',
  async (t, world) => {
    const backend = await world.frameBackend(async (connection) => {
      connection.send(settings());
      await connection.first(1, FrameType.HEADERS);
      connection.send(goAway(0, ErrorCode.NO_ERROR));
      connection.socket.destroy();
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const client = world.http2Client(proxy.port);
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.call(METHOD, MESSAGE)));
    for (const answer of answers) t.equal(status(answer), '14');
    t.ok(backend.connections.length < 12, `${backend.connections.length} connections`);
  },
);

/** Writes it chunk by chunk as there is room, and does not end. */
function pour(stream: ClientHttp2Stream): { sent: number } {
  const progress = { sent: 0 };
  const go = (): void => {
    while (progress.sent < LARGE.length) {
      const part = LARGE.subarray(progress.sent, progress.sent + 65_536);
      progress.sent += part.length;
      if (!stream.write(part)) {
        stream.once('drain', go);
        return;
      }
    }
  };
  go();
  return progress;
}

/** Resolves when the value has not changed for a while. */
async function standstill(value: () => number): Promise<void> {
  for (let last = -1; last !== value(); ) {
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}
