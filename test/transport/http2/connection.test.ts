import type { Socket } from 'node:net';
import t from 'tap';
import { ErrorCode } from '../../../lib/port/error-code.js';
import { DEFAULT_DIAL_LIMITS, type DialLimits } from '../../../lib/transport/limits.js';
import { RESPONSE, TRAILERS } from '../../support/fields.js';
import {
  END,
  Flag,
  FrameType,
  goAway,
  headers,
  Setting,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import {
  call,
  connected,
  dial,
  frameBackend,
  nodeBackend,
  type Owner,
  Received,
  rawServer,
  request,
  WIRES,
} from './fixtures.js';

t.test('it is ready once the SETTINGS have come, and not before', async (t) => {
  let socket!: Socket;
  const accepted = new Promise<void>((resolve) => {
    void rawServer(t, (s) => {
      socket = s;
      resolve();
    }).then((port) => start(port));
  });
  let owner!: Owner;
  let connection!: ReturnType<typeof dial>['connection'];
  function start(port: number): void {
    ({ owner, connection } = dial(port));
  }
  await accepted;
  t.strictSame(owner.told, []);
  t.equal(connection.hasRoom, false);
  t.equal(connection.streamCount, 0);
  socket.write(settings([Setting.MAX_CONCURRENT_STREAMS, 7]));
  await owner.is('ready');
  t.equal(connection.hasRoom, true);
  t.equal(connection.maxConcurrentStreams, 7);
  t.equal(connection.hasAnswered, false);
  call(() => connection.destroy());
  t.equal((await owner.end()).cause, 'local');
  t.equal(connection.hasRoom, false);
});

t.test('without SETTINGS_MAX_CONCURRENT_STREAMS the own limit of this side holds', async (t) => {
  const { owner, connection } = await connected(await frameBackend(t));
  t.equal(connection.maxConcurrentStreams, DEFAULT_DIAL_LIMITS.maxStreamsPerConnection);
  connection.destroy();
  await owner.end();
});

t.test('room comes back when a stream ends, or SETTINGS change', async (t) => {
  const port = await frameBackend(
    t,
    async (backend) => {
      await backend.first(3, FrameType.HEADERS);
      backend.send(headers(1, [...RESPONSE, ...TRAILERS], END));
      await backend.first(5, FrameType.HEADERS);
      backend.send(settings([Setting.MAX_CONCURRENT_STREAMS, 3]));
    },
    [[Setting.MAX_CONCURRENT_STREAMS, 2]],
  );
  const { owner, connection } = await connected(port);
  const first = request(connection, true);
  t.equal(connection.hasRoom, true);
  request(connection);
  t.equal(connection.hasRoom, false);
  t.equal(connection.streamCount, 2);
  await first.received.end();
  await owner.is('room');
  t.equal(connection.hasAnswered, true);
  t.equal(connection.streamCount, 1);
  t.equal(connection.hasRoom, true);
  request(connection);
  t.equal(connection.hasRoom, false);
  await owner.is('room', 2);
  t.equal(connection.maxConcurrentStreams, 3);
  t.equal(connection.hasRoom, true);
  connection.destroy();
  await owner.end();
});

t.test('a peer that allows no streams is connected to once', async (t) => {
  let connections = 0;
  const port = await frameBackend(
    t,
    async (backend) => {
      connections++;
      await backend.until(() => backend.frames.some(({ flags }) => flags === Flag.ACK));
      backend.send(settings([Setting.MAX_CONCURRENT_STREAMS, 1]));
    },
    [[Setting.MAX_CONCURRENT_STREAMS, 0]],
  );
  const { owner, connection } = await connected(port);
  t.equal(connection.hasRoom, false);
  await owner.is('room');
  t.equal(connection.hasRoom, true);
  t.equal(connections, 1);
  connection.destroy();
  await owner.end();
});

t.test('a stream that is reset before it has begun gives its room back', async (t) => {
  const { owner, connection } = await connected(await frameBackend(t));
  const stream = call(() => connection.openStream());
  t.equal(connection.streamCount, 1);
  call(() => stream.reset(ErrorCode.CANCEL));
  await owner.is('room');
  t.equal(connection.streamCount, 0);
  connection.destroy();
  await owner.end();
});

t.test('GOAWAY: no new streams, those above its last one are refused, the others go on', async (t) => {
  const port = await frameBackend(t, async (backend) => {
    await backend.first(3, FrameType.HEADERS);
    backend.send(goAway(1, ErrorCode.NO_ERROR));
    await backend.first(0, FrameType.GOAWAY);
    backend.send(headers(1, [...RESPONSE, ...TRAILERS], END));
  });
  const { owner, connection } = await connected(port);
  const first = request(connection, true);
  const second = request(connection, true);
  await owner.is('going away');
  t.equal(connection.hasRoom, false);
  t.strictSame(await second.received.reset(), {
    code: ErrorCode.REFUSED_STREAM,
    by: 'peer',
    text: undefined,
    lost: undefined,
  });
  await first.received.end();
  t.strictSame(first.received.resets, []);
  t.match(await owner.end(), { cause: 'closed', code: 0, text: 'GOAWAY NO_ERROR' });
  t.equal(owner.count('going away'), 1);
});

t.test('GOAWAY with an error code: its code and debug data are the reason', async (t) => {
  const { port } = await nodeBackend(t, ({ stream }) => {
    stream.session!.goaway(ErrorCode.ENHANCE_YOUR_CALM, 2 ** 31 - 1, Buffer.from('too_many_pings'));
  });
  const { owner, connection } = await connected(port);
  const { received } = request(connection);
  const reset = await received.reset();
  t.match(reset, { code: ErrorCode.CANCEL, by: 'peer' });
  t.match(reset.lost, {
    cause: 'keepalive',
    code: ErrorCode.ENHANCE_YOUR_CALM,
    text: 'GOAWAY ENHANCE_YOUR_CALM, "too_many_pings"',
  });
  t.equal(await owner.end(), reset.lost);
  t.equal(connection.hasRoom, false);
});

/** Backends that end a connection, whose stream has begun, in a way of their own. */
const LOSSES = {
  'a FIN': { end: (socket: Socket) => socket.end(), cause: 'closed', text: 'the peer closed it' },
  'a TCP reset': {
    end: (socket: Socket) => setTimeout(() => socket.resetAndDestroy(), 10),
    cause: 'reset',
    text: 'it was reset by the peer',
  },
};

for (const [name, { end, cause, text }] of Object.entries(LOSSES)) {
  t.test(`streams that are lost by ${name} are told why, before the owner is`, async (t) => {
    const port = await frameBackend(t, async (backend) => {
      await backend.first(3, FrameType.HEADERS);
      end(backend.socket);
    });
    const { owner, connection } = await connected(port);
    const streams = [request(connection), request(connection, true)];
    const order: string[] = [];
    for (const { received } of streams) void received.reset().then(() => order.push('stream'));
    void owner.end().then(() => order.push('owner'));
    await owner.end();
    for (const { received } of streams) {
      const reset = await received.reset();
      t.match(reset, { code: ErrorCode.CANCEL, by: 'peer', lost: { cause, text } });
    }
    t.strictSame(order, ['stream', 'stream', 'owner']);
    t.equal(owner.count('ended'), 1);
    t.equal(connection.streamCount, 0);
  });
}

t.test('an idle connection that the peer closes ends, too', async (t) => {
  const port = await frameBackend(t, async (backend) => {
    await backend.until(() => backend.frames.some(({ flags }) => flags === Flag.ACK));
    backend.socket.end();
  });
  const { owner } = await connected(port);
  t.match(await owner.end(), { cause: 'closed' });
});

t.test('shutDown lets streams finish', async (t) => {
  const { port } = await nodeBackend(t, ({ stream }) => {
    stream.resume().on('end', () => {
      stream.respond({ ':status': 200 }, { endStream: true });
    });
  });
  const { owner, connection } = await connected(port);
  const { stream, received } = request(connection);
  call(() => connection.shutDown());
  t.equal(connection.hasRoom, false);
  call(() => stream.sendData(Buffer.from('x'), true));
  await received.end();
  t.match(await owner.end(), { cause: 'local', text: 'it was closed here' });
  t.strictSame(owner.told, ['ready', 'ended']);
});

t.test('a connection whose identifiers have run out closes once its streams have ended', async (t) => {
  const { port } = await nodeBackend(t, ({ stream }) => {
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  const { owner, connection } = await connected(port);
  const { session } = Reflect.get(connection, 'carrier');
  session.setNextStreamID(2 ** 31 - 1);
  const last = request(connection, true);
  const none = request(connection, true);
  t.match(await none.received.reset(), { code: ErrorCode.REFUSED_STREAM, by: 'local' });
  await last.received.end();
  t.match(await owner.end(), { cause: 'local' });
  t.strictSame(
    owner.told.filter((told) => told !== 'room'),
    ['ready', 'going away', 'ended'],
  );
});

t.test('a peer that ignores the FIN does not hold an idle connection that is shut down', async (t) => {
  const port = await rawServer(t, (socket) => {
    socket.allowHalfOpen = true;
    socket.write(settings());
    socket.resume();
  });
  const { owner, connection } = await connected(port);
  const begun = performance.now();
  connection.shutDown();
  t.match(await owner.end(), { cause: 'local' });
  t.ok(performance.now() - begun < 2000);
});

for (const [wireName, wire] of Object.entries(WIRES)) {
  t.test(
    `a backend that stands still, with output stuck, is left within a second or so, ${wireName}`,
    async (t) => {
      let socket!: Socket;
      const port = await frameBackend(
        t,
        async (backend) => {
          socket = backend.socket;
          await backend.first(1, FrameType.HEADERS);
          backend.send(windowUpdate(0, 2 ** 29));
          backend.socket.pause();
        },
        [[Setting.INITIAL_WINDOW_SIZE, 2 ** 30]],
        wire,
      );
      const { owner, connection } = await connected(port, wire.dialOptions);
      const { stream, received } = request(connection);
      stream.sendData(Buffer.alloc(64 * 1024 * 1024), false);
      await new Promise((resolve) => setTimeout(resolve, 300));
      t.equal(socket.isPaused(), true);
      const begun = performance.now();
      call(() => connection.destroy());
      t.match(await received.reset(), { code: ErrorCode.CANCEL, by: 'local', lost: { cause: 'local' } });
      await owner.end();
      t.ok(performance.now() - begun < 1800);
    },
  );
}

const IMPATIENT: DialLimits = {
  ...DEFAULT_DIAL_LIMITS,
  keepalive: { timeMilliseconds: 50, timeoutMilliseconds: 50, withoutCalls: false },
};

t.test('a silent backend is found by keepalive', async (t) => {
  const port = await frameBackend(t, (backend) => {
    backend.acknowledges = false;
  });
  const { owner, connection } = await connected(port, { limits: IMPATIENT });
  const { received } = request(connection);
  t.match(await received.reset(), { by: 'local', lost: { cause: 'keepalive' } });
  t.match(await owner.end(), { cause: 'keepalive' });
});

t.test('a silent backend is found by keepalive while the connection drains', async (t) => {
  const port = await frameBackend(t, async (backend) => {
    await backend.first(1, FrameType.HEADERS);
    backend.send(goAway(1, ErrorCode.NO_ERROR));
    backend.socket.pause();
  });
  const { owner, connection } = await connected(port, { limits: IMPATIENT });
  const { received } = request(connection);
  await owner.is('going away');
  t.match(await received.reset(), { by: 'local', lost: { cause: 'keepalive' } });
  t.match(await owner.end(), { cause: 'keepalive' });
});

t.test('the wire says the scheme and authority of the header list', async (t) => {
  const seen: string[][] = [];
  const { port } = await nodeBackend(t, ({ stream, headers }) => {
    seen.push([String(headers[':scheme']), String(headers[':authority'])]);
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  const { owner, connection } = await connected(port);
  const { received } = request(connection, true);
  await received.end();
  const elsewhere = call(() => connection.openStream());
  const other = new Received();
  elsewhere.receiver = other;
  const fields = [':method', 'POST', ':scheme', 'https', ':path', '/', ':authority', 'h.test'];
  call(() => elsewhere.sendHeaders(fields, true));
  elsewhere.resume();
  await other.end();
  t.strictSame(seen, [
    ['http', 'localhost'],
    ['https', 'h.test'],
  ]);
  connection.destroy();
  await owner.end();
});
