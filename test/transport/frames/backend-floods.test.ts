import t from 'tap';
import {
  data,
  END,
  ErrorCode,
  errorCode,
  Flag,
  FrameType,
  frame,
  headers,
  PING,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { Call, startBackend, startClient } from './fixtures.js';

const limits = { idleFrames: { burst: 20, perSecond: 0.001 }, settings: { burst: 20, perSecond: 0.001 } };

const FLOODS: Readonly<Record<string, Buffer>> = {
  PING,
  SETTINGS: settings(),
  'empty DATA': data(1, ''),
  WINDOW_UPDATE: windowUpdate(0, 1),
  'unknown frames': frame(0xbe, 0, 0, '00'),
};

// On node:http2 it is nghttp2 that counts, and ends the connection.
for (const [what, flood] of Object.entries(FLOODS)) {
  t.test(`a backend that floods with ${what} gets no new calls, and those that run finish`, async (t) => {
    const backend = await startBackend(t);
    const client = startClient(t, backend.target, { limits });
    const running = new Call(client);
    const peer = await (await backend.accept()).exchangePrefaces();
    await peer.first(1, FrameType.HEADERS);
    peer.send(headers(1, [':status', '200']));
    for (let i = 0; i < 200; i++) peer.send(flood);
    await peer.roundTrip();
    t.strictSame(client.connections[0]!.events.includes('going away'), true);
    t.strictSame(peer.of(0, FrameType.GOAWAY), [], 'it is not closed by this side');
    const next = new Call(client);
    const other = await (await backend.accept()).exchangePrefaces();
    await other.first(1, FrameType.HEADERS);
    other.send(headers(1, [':status', '200']), headers(1, ['grpc-status', '0'], END));
    await next.done();
    t.equal(next.ended, true);
    peer.send(data(1, '00'), headers(1, ['grpc-status', '0'], END));
    await running.until((call) => call.ended);
    running.stream.sendData(Buffer.alloc(0), true);
    await peer.closed;
    t.equal(peer.frames.filter(({ type, flags }) => type === FrameType.GOAWAY && flags === 0).length, 1);
    t.equal(running.resetCode, -1);
    t.equal(running.received, 1);
    t.equal(peer.of(1, FrameType.DATA).at(-1)!.flags & Flag.END_STREAM, Flag.END_STREAM);
  });

  // Empty DATA needs a stream.
  if (what === 'empty DATA') continue;
  t.test(`a backend that floods an idle connection with ${what} is left`, async (t) => {
    const backend = await startBackend(t);
    const client = startClient(t, backend.target, { limits });
    const call = new Call(client, undefined, true);
    const peer = await (await backend.accept()).exchangePrefaces();
    await peer.first(1, FrameType.HEADERS);
    peer.send(headers(1, [':status', '200', 'grpc-status', '0'], END));
    await call.done();
    peer.send(...Array.from({ length: 200 }, () => flood));
    t.match(await client.connections[0]!.ended, { cause: 'local' });
    t.strictSame(client.connections[0]!.events.slice(-2), ['going away', 'ended']);
    await peer.closed;
    t.strictSame(peer.of(0, FrameType.GOAWAY).map(errorCode), [ErrorCode.NO_ERROR]);
  });
}
