import t from 'tap';
import { Child } from '../../support/child.js';
import { REQUEST, RESPONSE } from '../../support/fields.js';
import {
  END,
  ErrorCode,
  FrameType,
  goAway,
  headers,
  pingAck,
  resetStream,
  Setting,
  settings,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Call, Inbox, startBackend, startClient, startServer } from './fixtures.js';
import { openCall } from './stream-cases.js';

/** Connections: how they begin, what their owners are told, and how both sides end them. */

t.test('no stream is opened before the SETTINGS of the peer are seen', async (t) => {
  const server = await startBackend(t);
  const client = startClient(t, server.target);
  const calls = Array.from({ length: 5 }, () => new Call(client, REQUEST, true));
  const { connection, events } = client.current!;
  const peer = await server.accept();
  await peer.nextOf(0, FrameType.SETTINGS);
  t.notOk(connection.hasRoom);
  t.equal(connection.maxConcurrentStreams, 1000, "this side's own limit");
  peer.send(settings([Setting.MAX_CONCURRENT_STREAMS, 2]));
  await peer.nextHeaders(1);
  await peer.nextHeaders(3);
  await peer.roundTrip();
  t.equal(calls.filter((c) => c.stream !== undefined).length, 2);
  t.match(connection, { hasRoom: false, streamCount: 2, maxConcurrentStreams: 2 });
  t.strictSame(events, ['ready']);
  peer.send(headers(1, RESPONSE, END));
  await peer.nextHeaders(5);
  t.strictSame(events, ['ready', 'room']);
  t.equal(calls.filter((c) => c.stream !== undefined).length, 3, 'the next one gets the room');
  t.equal(server.connections.length, 1);
});

t.test('a client that resets what it never opened, behind the last GOAWAY, loses nothing', async (t) => {
  const inbox = new Inbox();
  const { transport, address } = await startServer(t, inbox);
  const peer = await FramePeer.client(address);
  peer.acknowledges = true;
  peer.send(headers(1, REQUEST, END));
  const { stream } = await inbox.at(0);
  const closed = transport.close();
  await peer.until(() => peer.of(0, FrameType.GOAWAY).length === 2);
  // C-core 1.51 does, now and then (NODE-HTTP2.md, "The end of a connection").
  peer.send(resetStream(3, ErrorCode.NO_ERROR), resetStream(5, ErrorCode.NO_ERROR));
  await peer.roundTrip();
  stream.sendHeaders(RESPONSE, true);
  await peer.until(() => peer.hasEnded(1));
  peer.socket.end();
  await closed;
  t.strictSame(peer.objections, []);
});

t.test('a peer that allows no streams has no room until it does', async (t) => {
  const server = await startBackend(t);
  const client = startClient(t, server.target);
  const call = new Call(client, REQUEST, true);
  const peer = await (await server.accept()).exchangePrefaces([Setting.MAX_CONCURRENT_STREAMS, 0]);
  await peer.roundTrip();
  t.equal(call.stream, undefined);
  t.strictSame(client.current?.events, ['ready']);
  peer.send(settings([Setting.MAX_CONCURRENT_STREAMS, 1]));
  await peer.nextHeaders(1);
  t.strictSame(client.current?.events, ['ready', 'room']);
});

t.test('the owner is not told of room from inside a method of a stream', async (t) => {
  const server = await startBackend(t);
  const client = startClient(t, server.target);
  const calls = [new Call(client, REQUEST, true), new Call(client, REQUEST, true)];
  const { events } = client.current!;
  const peer = await (await server.accept()).exchangePrefaces([Setting.MAX_CONCURRENT_STREAMS, 1]);
  await peer.nextHeaders(1);
  calls[0]!.stream.reset(ErrorCode.CANCEL);
  t.strictSame(events, ['ready']);
  t.ok(client.current?.connection.hasRoom);
  await peer.nextHeaders(3);
  t.strictSame(events, ['ready', 'room']);
});

t.test('a connection has answered once a response has come', async (t) => {
  const { call, peer, transport } = await openCall(t);
  const { connection } = transport.current!;
  peer.send(headers(1, [':status', '103']));
  await peer.roundTrip();
  t.notOk(connection.hasAnswered);
  peer.send(headers(1, RESPONSE));
  await call.until((c) => c.headers !== undefined);
  t.ok(connection.hasAnswered);
});

t.test('REFUSED_STREAM ends its stream, and the connection goes on', async (t) => {
  const { call, peer, transport } = await openCall(t);
  peer.send(resetStream(1, ErrorCode.REFUSED_STREAM));
  await call.done();
  t.ok(transport.current?.connection.hasRoom);
  t.strictSame(transport.current?.events, ['ready']);
});

t.test('a new connection takes the place of a lost one', async (t) => {
  const { call, peer, transport, server } = await openCall(t);
  peer.destroy();
  await call.done();
  t.match(await transport.connections[0]!.ended, { cause: /^(closed|reset)$/ });
  const second = new Call(transport);
  const next = await (await server.accept()).exchangePrefaces();
  await next.nextHeaders(1);
  t.ok(second.stream);
  t.strictSame(transport.current?.events, ['ready']);
});

t.test('GOAWAY before any stream: no room, and the end once the connection is closed', async (t) => {
  const server = await startBackend(t);
  const client = startClient(t, server.target);
  const call = new Call(client);
  const [first] = client.connections;
  const peer = await server.accept();
  peer.send(settings([Setting.MAX_CONCURRENT_STREAMS, 0]), goAway(0, 0));
  await peer.closed;
  t.match(await first!.ended, { cause: 'closed', code: ErrorCode.NO_ERROR, text: 'GOAWAY NO_ERROR' });
  t.strictSame(first!.events, ['ready', 'going away', 'ended']);
  const next = await (await server.accept()).exchangePrefaces();
  await next.nextHeaders(1);
  t.ok(call.stream, 'who waits gets another connection');
});

t.test(
  'RFC 9113 section 5.1.1: a connection whose identifiers are used up goes away, and closes',
  async (t) => {
    const { call, peer, transport } = await (async () => {
      const server = await startBackend(t);
      const transport = startClient(t, server.target, { firstStreamId: 2 ** 31 - 1 });
      const call = new Call(transport, REQUEST, true);
      const peer = await (await server.accept()).exchangePrefaces();
      await peer.nextHeaders(2 ** 31 - 1);
      return { call, peer, transport };
    })();
    const [connection] = transport.connections;
    t.notOk(connection!.connection.hasRoom);
    t.strictSame(connection!.events, ['ready', 'going away']);
    peer.send(headers(2 ** 31 - 1, RESPONSE, END));
    await call.done();
    t.ok(call.ended);
    await peer.closed;
    t.equal((await connection!.ended).cause, 'local');
  },
);

t.test('shutDown lets running streams finish, and then closes', async (t) => {
  const server = await startBackend(t);
  const client = startClient(t, server.target);
  const call = new Call(client, REQUEST, true);
  const peer = await (await server.accept()).exchangePrefaces();
  await peer.nextHeaders(1);
  const { connection, ended } = client.current!;
  connection.shutDown();
  t.notOk(connection.hasRoom, 'no new streams');
  peer.send(headers(1, RESPONSE, END));
  await call.done();
  t.ok(call.ended);
  t.match(await ended, { cause: 'local', text: 'it was closed here' });
  await peer.closed;
});

t.test('shutDown and destroy end an attempt to connect', async (t) => {
  const server = await startBackend(t);
  for (const end of ['shutDown', 'destroy'] as const) {
    const client = startClient(t, server.target);
    const call = new Call(client);
    const { connection } = client.current!;
    connection[end]();
    t.equal(call.end, undefined, 'which is told later');
    t.match((await call.done()).end, { cause: 'local' });
  }
  const client = startClient(t, server.target);
  const call = new Call(client);
  const peer = await server.accept();
  await peer.nextOf(0, FrameType.SETTINGS);
  client.current!.connection.destroy();
  t.match((await call.done()).end, { cause: 'local' }, 'before the SETTINGS of the peer, too');
  await peer.closed;
});

t.test('destroy ends running streams in onReset, once it has returned', async (t) => {
  const { call, peer, transport } = await openCall(t);
  const { connection, ended, events } = transport.current!;
  connection.destroy();
  t.strictSame([call.events, events], [[], ['ready']]);
  t.match(await ended, { cause: 'local' });
  t.match(
    call.reset,
    { code: ErrorCode.CANCEL, by: 'local', lost: { cause: 'local' } },
    'and streams come first',
  );
  await peer.closed;
});

t.test('an idle connection does not keep the process alive, one that is being made does', async (t) => {
  const server = await startBackend(t);
  const module = (path: string) =>
    JSON.stringify(new URL(`../../../lib/transport/${path}`, import.meta.url).href);
  const script = `
    import { FramesDialer } from ${module('frames/dialer.js')};
    import { BackendKeepalive } from ${module('backend-keepalive.js')};
    import { DEFAULT_DIAL_LIMITS } from ${module('limits.js')};
    const dialer = new FramesDialer({
      address: ${JSON.stringify(server.target)},
      tls: undefined,
      limits: DEFAULT_DIAL_LIMITS,
      keepalive: new BackendKeepalive('the backend', DEFAULT_DIAL_LIMITS.keepalive),
    });
    const connection = dialer.dial({
      onReady() {
        const stream = connection.openStream();
        stream.receiver = { onHeaders() {}, onData() {}, onEnd() {}, onReset() {}, onDrain() {} };
        stream.sendHeaders([':method', 'GET', ':scheme', 'http', ':path', '/'], true);
      },
      onRoom() {},
      onGoingAway() {},
      onEnded(end) { throw end; },
    });`;
  const child = Child.node(t, '--input-type=module', '-e', script);
  const peer = await server.accept();
  t.equal(child.exitCode, null);
  await peer.exchangePrefaces();
  await peer.nextHeaders(1);
  t.equal(child.exitCode, null, 'a running stream does');
  peer.send(headers(1, RESPONSE, END));
  t.equal(await child.ended(), 0, child.stderr);
});

t.test('RFC 9113 section 6.8: a server shuts down in two steps', async (t) => {
  const inbox = new Inbox();
  const { transport, address } = await startServer(t, inbox);
  const peer = await FramePeer.client(address);
  const idle = await FramePeer.client(address);
  peer.send(headers(1, REQUEST, END));
  await inbox.at(0);
  const closed = transport.close();
  const first = await peer.nextOf(0, FrameType.GOAWAY);
  t.equal(first.payload.readUInt32BE(0), 2 ** 31 - 1);
  const ping = await peer.nextOf(0, FrameType.PING);
  // A request that was on its way is served.
  peer.send(headers(3, REQUEST, END));
  const late = await inbox.at(1);
  peer.send(pingAck(ping.payload));
  const second = await peer.nextOf(0, FrameType.GOAWAY);
  t.equal(second.payload.readUInt32BE(0), 3);
  peer.send(headers(5, REQUEST, END));
  await peer.roundTrip();
  t.equal(inbox.streams.length, 2, 'one that comes after it is not');
  t.strictSame(peer.objections, []);
  late.stream.sendHeaders(RESPONSE, true);
  inbox.streams[0]!.stream.sendHeaders(RESPONSE, true);
  await peer.next((f) => f.streamId === 1 && f.flags === END);
  await peer.closed;
  idle.send(pingAck((await idle.nextOf(0, FrameType.PING)).payload));
  await idle.closed;
  await closed;
});

t.test('a shut down server refuses new connections', async (t) => {
  const { transport, address } = await startServer(t);
  await transport.close();
  t.match((await new Call(startClient(t, address)).done()).end, {
    cause: 'connect',
    text: 'connection refused',
  });
});

t.test("destroying a server ends its clients' streams at once", async (t) => {
  const inbox = new Inbox();
  const { transport, address } = await startServer(t, inbox);
  const call = new Call(startClient(t, address));
  const incoming = await inbox.at(0);
  transport.destroy();
  t.equal(incoming.reset, undefined);
  await call.done();
  t.match(call.reset, { code: ErrorCode.CANCEL, lost: { cause: 'closed' } });
  t.match(incoming.reset, { code: ErrorCode.CANCEL, by: 'local', lost: { cause: 'local' } });
});

t.test('listening twice, and on an address in use', async (t) => {
  const { transport, address } = await startServer(t);
  const second = await transport.listen({ host: '127.0.0.1', port: 0 });
  const call = new Call(startClient(t, second as { host: string; port: number }), REQUEST, true);
  t.ok((await call.done()).ended);
  await t.rejects(transport.listen(address), { code: 'EADDRINUSE' });
});

t.test('a server that is closed does not listen any more', async (t) => {
  const { transport } = await startServer(t);
  const pending = transport.listen({ host: '127.0.0.1', port: 0 });
  const closed = transport.close();
  await t.rejects(pending);
  await t.rejects(transport.listen({ host: '127.0.0.1', port: 0 }));
  await closed;
});
