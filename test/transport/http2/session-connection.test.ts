import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import t from 'tap';
import { ErrorCode } from '../../../lib/port/error-code.js';
import { isClientHttp2Session, SessionConnection } from '../../../lib/transport/http2/session-connection.js';
import { RESPONSE, TRAILERS } from '../../support/fields.js';
import { END, FrameType, goAway, headers, Setting } from '../../support/frame.js';
import { freePort } from '../../support/free-port.js';
import { call, frameBackend, Owner, request, type Test } from './fixtures.js';

function connect(t: Test, port: number) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  t.teardown(() => session.destroy());
  return session;
}

function adopt(session: http2.ClientHttp2Session) {
  const owner = new Owner();
  const connection = call(() => new SessionConnection(session, owner, undefined));
  return { owner, connection };
}

t.test('it knows a session', async (t) => {
  const session = connect(t, await frameBackend(t));
  t.equal(isClientHttp2Session(session), true);
  t.equal(isClientHttp2Session(net.connect({ path: '/nowhere' }).on('error', () => {})), false);
  t.equal(isClientHttp2Session({}), false);
  t.equal(isClientHttp2Session(null), false);
  t.equal(isClientHttp2Session('http://localhost'), false);
});

t.test('it is ready once the session is connected, and queues above the limit', async (t) => {
  const port = await frameBackend(
    t,
    async (backend) => {
      await backend.first(1, FrameType.HEADERS);
      backend.send(headers(1, [...RESPONSE, ...TRAILERS], END));
      await backend.first(3, FrameType.HEADERS);
      backend.send(headers(3, [...RESPONSE, ...TRAILERS], END));
    },
    [[Setting.MAX_CONCURRENT_STREAMS, 1]],
  );
  const session = connect(t, port);
  const { owner, connection } = adopt(session);
  t.equal(connection.hasRoom, false);
  await owner.is('ready');
  await once(session, 'remoteSettings');
  const streams = [request(connection, true), request(connection, true)];
  t.equal(connection.hasRoom, true);
  for (const { received } of streams) await received.end();
  session.close();
  t.match(await owner.end(), { cause: 'closed' });
});

t.test('GOAWAY ends its use, and the session the rest', async (t) => {
  const port = await frameBackend(t, async (backend) => {
    await backend.first(1, FrameType.HEADERS);
    backend.send(goAway(1, ErrorCode.NO_ERROR));
  });
  const session = connect(t, port);
  const { owner, connection } = adopt(session);
  await owner.is('ready');
  const { received } = request(connection);
  await owner.is('going away');
  t.equal(connection.hasRoom, false);
  session.destroy();
  t.match(await received.reset(), { code: ErrorCode.CANCEL });
  await owner.end();
  t.equal(owner.count('ended'), 1);
});

t.test('destroy() ends its streams, and leaves the session to its owner', async (t) => {
  const port = await frameBackend(t);
  const session = connect(t, port);
  const { owner, connection } = adopt(session);
  await owner.is('ready');
  const { received } = request(connection);
  const unopened = connection.openStream();
  call(() => connection.destroy());
  t.match(await received.reset(), { code: ErrorCode.CANCEL, by: 'local', lost: { cause: 'local' } });
  t.match(await owner.end(), { cause: 'local' });
  t.equal(session.destroyed, false);
  t.equal(connection.streamCount, 0);
  unopened.reset(ErrorCode.CANCEL);
});

t.test('shutDown() lets streams finish, and leaves the session to its owner', async (t) => {
  const port = await frameBackend(t, async (backend) => {
    await backend.first(1, FrameType.HEADERS);
    backend.send(headers(1, [...RESPONSE, ...TRAILERS], END));
  });
  const session = connect(t, port);
  const { owner, connection } = adopt(session);
  await owner.is('ready');
  const { received } = request(connection, true);
  call(() => connection.shutDown());
  t.equal(connection.hasRoom, false);
  await received.end();
  t.match(await owner.end(), { cause: 'local' });
  t.equal(session.destroyed, false);
});

t.test('a session that is closed already is ended, later', async (t) => {
  const session = connect(t, await frameBackend(t));
  await once(session, 'connect');
  session.destroy();
  const { owner, connection } = adopt(session);
  t.equal(connection.hasRoom, false);
  t.match(await owner.end(), { cause: 'closed' });
});

t.test('a session that never connects is ended with the reason', async (t) => {
  const session = http2.connect(`http://127.0.0.1:${await freePort()}`);
  session.on('error', () => {});
  const { owner } = adopt(session);
  t.match(await owner.end(), { cause: 'connect', text: 'connection refused' });
});

t.test('identifiers run out', async (t) => {
  const port = await frameBackend(t, async (backend) => {
    await backend.first(2 ** 31 - 1, FrameType.HEADERS);
    backend.send(headers(2 ** 31 - 1, [...RESPONSE, ...TRAILERS], END));
  });
  const session = connect(t, port);
  const { owner, connection } = adopt(session);
  await owner.is('ready');
  // Public, although missing from the types.
  (session as unknown as { setNextStreamID(id: number): void }).setNextStreamID(2 ** 31 - 1);
  const last = request(connection, true);
  const none = request(connection, true);
  t.match(await none.received.reset(), {
    code: ErrorCode.REFUSED_STREAM,
    by: 'local',
    text: 'the connection has no stream identifier left',
    lost: undefined,
  });
  await owner.is('going away');
  t.equal(connection.hasRoom, false);
  await last.received.end();
  t.equal(owner.count('going away'), 1);
});
