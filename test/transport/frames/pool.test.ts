import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { ErrorCode, FrameType } from '../../../lib/transport/frames/frame.js';
import { Setting } from '../../../lib/transport/frames/settings.js';
import { END } from './conformance-cases.js';
import { Call, Inbox, RawServer, REQUEST_HEADERS, startClient, startServer } from './fixtures.js';
import { goAway, headers, RawPeer, REQUEST, settings } from './raw-peer.js';

/** Connections: how a client chooses and makes them, and how both sides end them. */

const RESPONSE = [':status', '200'];

t.test('no stream is opened before the SETTINGS of the peer are seen', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const calls = Array.from({ length: 5 }, () => new Call(transport, REQUEST_HEADERS, true));
  const socket = await server.accept();
  const peer = new RawPeer(socket, 24);
  await peer.nextOf(FrameType.SETTINGS, 0);
  t.strictSame(
    calls.map((c) => c.stream),
    Array(5).fill(undefined),
  );
  peer.send(settings([Setting.MAX_CONCURRENT_STREAMS, 2]));
  await peer.nextHeaders(1);
  await peer.nextHeaders(3);
  await peer.roundTrip();
  t.equal(calls.filter((c) => c.stream !== undefined).length, 2);
  t.equal(server.connections, 2, 'and another connection is made for the others');
  peer.send(headers(1, RESPONSE, END));
  await peer.nextHeaders(5);
  t.equal(calls.filter((c) => c.stream !== undefined).length, 3, 'the next one gets the room');
});

t.test('a peer that allows no streams makes requesters wait', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target, { maxConnections: 1 });
  const call = new Call(transport, REQUEST_HEADERS, true);
  const peer = await RawPeer.server(await server.accept(), [Setting.MAX_CONCURRENT_STREAMS, 0]);
  await peer.roundTrip();
  t.equal(call.stream, undefined);
  peer.send(settings([Setting.MAX_CONCURRENT_STREAMS, 1]));
  await peer.nextHeaders(1);
});

t.test('a cancelled requester is not served', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const first = new Call(transport, REQUEST_HEADERS, true);
  const second = new Call(transport, REQUEST_HEADERS, true);
  transport.cancelOpen(first);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  await peer.roundTrip();
  t.equal(first.stream, undefined);
  t.ok(second.stream);
});

t.test('a failed connect is told to all who wait, and the next stream tries again', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const calls = [new Call(transport), new Call(transport)];
  (await server.accept()).destroy();
  for (const call of calls) t.ok((await call.done()).error instanceof Error);
  t.equal(server.connections, 1, 'one attempt for all');
  new Call(transport);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
});

t.test('a refused connection is told', async (t) => {
  const call = new Call(startClient(t, { path: '/nonexistent/socket' }));
  t.match((await call.done()).error?.message, /ENOENT/);
});

t.test('a new connection takes the place of a lost one', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const first = new Call(transport);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  peer.close();
  await first.done();
  const second = new Call(transport);
  const next = await RawPeer.server(await server.accept());
  await next.nextHeaders(1);
  t.ok(second.stream);
});

t.test('GOAWAY before any stream: who waits gets another connection', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target, { maxConnections: 1 });
  const call = new Call(transport);
  const peer = new RawPeer(await server.accept(), 24);
  peer.send(settings([Setting.MAX_CONCURRENT_STREAMS, 0]), goAway(0, 0));
  const next = await RawPeer.server(await server.accept());
  await next.nextHeaders(1);
  t.ok(call.stream);
  await peer.closed;
});

t.test('close lets running streams finish, and then closes', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const call = new Call(transport, REQUEST_HEADERS, true);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  const closed = transport.close();
  t.ok((await new Call(transport).done()).error, 'no new streams');
  peer.send(headers(1, RESPONSE, END));
  await call.done();
  t.ok(call.ended);
  await closed;
  await peer.closed;
});

t.test('destroy ends running streams in onReset', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const call = new Call(transport);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  const waiting = new Call(startClient(t, server.target));
  transport.destroy();
  t.equal(call.resetCode, ErrorCode.CANCEL);
  t.ok(call.connectionLost);
  await peer.closed;
  t.equal(waiting.error, undefined);
});

t.test('an idle connection does not keep the process alive', async (t) => {
  const server = await RawServer.listen(t);
  const script = `
    import { createFramesClientTransport } from ${JSON.stringify(new URL('../../../lib/transport/frames/index.js', import.meta.url).href)};
    const transport = createFramesClientTransport(${JSON.stringify(server.target)});
    transport.openStream({
      onStream(stream) {
        stream.receiver = { onHeaders() {}, onData() {}, onEnd() {}, onReset() {}, onDrain() {} };
        stream.sendHeaders([':method', 'GET', ':scheme', 'http', ':path', '/'], true);
      },
      onConnectError(error) { throw error; },
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  t.equal(child.exitCode, null, 'a running stream does');
  peer.send(headers(1, RESPONSE, END));
  const [code] = await once(child, 'exit');
  t.equal(code, 0);
});

t.test('RFC 9113 section 6.8: a server shuts down in two steps', async (t) => {
  const inbox = new Inbox();
  const { transport, address } = await startServer(t, inbox);
  const peer = await RawPeer.client(address);
  const idle = await RawPeer.client(address);
  peer.send(headers(1, REQUEST, END));
  await inbox.at(0);
  const closed = transport.close();
  const first = await peer.nextOf(FrameType.GOAWAY, 0);
  t.equal(first.payload.readUInt32BE(0), 2 ** 31 - 1);
  const ping = await peer.nextOf(FrameType.PING, 0);
  // A request that was on its way is served.
  peer.send(headers(3, REQUEST, END));
  const late = await inbox.at(1);
  peer.send(Buffer.concat([Buffer.from([0, 0, 8, 6, 1, 0, 0, 0, 0]), ping.payload]));
  const second = await peer.nextOf(FrameType.GOAWAY, 0);
  t.equal(second.payload.readUInt32BE(0), 3);
  peer.send(headers(5, REQUEST, END));
  await peer.roundTrip();
  t.equal(inbox.streams.length, 2, 'one that comes after it is not');
  t.strictSame(peer.objections, []);
  late.stream.sendHeaders(RESPONSE, true);
  inbox.streams[0]!.stream.sendHeaders(RESPONSE, true);
  await peer.next((f) => f.streamId === 1 && f.flags === END);
  await peer.closed;
  idle.send(
    Buffer.concat([Buffer.from([0, 0, 8, 6, 1, 0, 0, 0, 0]), (await idle.nextOf(FrameType.PING, 0)).payload]),
  );
  await idle.closed;
  await closed;
});

t.test('a shut down server refuses new connections', async (t) => {
  const { transport, address } = await startServer(t);
  await transport.close();
  t.ok((await new Call(startClient(t, address)).done()).error);
});

t.test("destroying a server ends its clients' streams at once", async (t) => {
  const inbox = new Inbox();
  const { transport, address } = await startServer(t, inbox);
  const call = new Call(startClient(t, address));
  const incoming = await inbox.at(0);
  transport.destroy();
  await call.done();
  t.ok(call.connectionLost);
  t.equal(incoming.resetCode, ErrorCode.CANCEL);
});

t.test('listening twice, and on an address in use', async (t) => {
  const { transport, address } = await startServer(t);
  const second = await transport.listen({ host: '127.0.0.1', port: 0 });
  const call = new Call(startClient(t, second as { host: string; port: number }), REQUEST_HEADERS, true);
  t.ok((await call.done()).ended);
  await t.rejects(transport.listen(address), { code: 'EADDRINUSE' });
});
