import { encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import {
  data,
  dataOf,
  END,
  FrameType,
  goAway,
  headers,
  resetStream,
  Setting,
  settings,
} from '../support/frame.js';
import { collectResponse, fieldValue, type Response } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

/** Reset codes, and the gRPC status of each (PROTOCOL-HTTP2, Errors). */
const CODES = [
  [0, 'NO_ERROR', 13],
  [1, 'PROTOCOL_ERROR', 13],
  [2, 'INTERNAL_ERROR', 13],
  [3, 'FLOW_CONTROL_ERROR', 13],
  [4, 'SETTINGS_TIMEOUT', 13],
  [5, 'STREAM_CLOSED', 2],
  [6, 'FRAME_SIZE_ERROR', 13],
  [7, 'REFUSED_STREAM', 14],
  [8, 'CANCEL', 1],
  [9, 'COMPRESSION_ERROR', 13],
  [10, 'CONNECT_ERROR', 13],
  [11, 'ENHANCE_YOUR_CALM', 8],
  [12, 'INADEQUATE_SECURITY', 7],
] as const;

const PROGRESS = [
  'before headers',
  'after headers',
  'after a message',
  'after a message, half-closed',
] as const;

for (const [code, name, expected] of CODES) {
  for (const progress of PROGRESS) {
    behaviour(`RST_STREAM(${name}) from the primary ${progress}`, async (t, world) => {
      const backend = await world.frameBackend(async (connection) => {
        connection.send(settings());
        await connection.first(1, FrameType.DATA);
        if (progress !== 'before headers') connection.send(headers(1, RESPONSE));
        if (progress.startsWith('after a message')) connection.send(data(1, MESSAGE));
        connection.send(resetStream(1, code));
      });
      const conn = world.dial(backend.port);
      const proxy = await world.proxy(() => ({ primary: { conn } }));
      const stream = world.http2Client(proxy.port).open(METHOD);
      const response = collectResponse(stream);
      stream.write(MESSAGE);
      if (progress.endsWith('half-closed')) stream.end();
      const ended = await response;
      t.equal(status(ended), String(expected));
      t.match(message(ended), new RegExp(`reset the stream: ${name}`));
      t.equal(ended.trailersOnly, progress === 'before headers');
    });
  }
}

for (const isHalfClosed of [false, true]) {
  const what = isHalfClosed ? 'a half-closed request' : 'a request';
  behaviour(`RST_STREAM(NO_ERROR) from the primary, which holds back ${what}`, async (t, world) => {
    const backend = await world.frameBackend(async (connection) => {
      connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 10]));
      await connection.until(() => dataOf(connection.of(1, FrameType.DATA)).length === 10);
      connection.send(headers(1, RESPONSE), data(1, MESSAGE), resetStream(1, 0));
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const stream = world.http2Client(proxy.port).open(METHOD);
    const response = collectResponse(stream);
    stream.write(encodeMessage(Buffer.alloc(1000)));
    if (isHalfClosed) stream.end();
    const ended = await response;
    t.equal(status(ended), '13');
    t.match(message(ended), /reset the stream: NO_ERROR/);
    t.same(ended.data, MESSAGE);
  });
}

/** What `session.destroy()` of node:http2 sends. */
behaviour('a primary that resets its streams with NO_ERROR and goes', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.until(() => connection.hasEnded(1));
    connection.send(headers(1, RESPONSE), data(1, MESSAGE), resetStream(1, 0), goAway(1, 0));
    connection.socket.end();
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(status(response), '13');
  t.match(message(response), /reset the stream: NO_ERROR/);
});

for (const how of ['FIN', 'RST'] as const) {
  for (const progress of PROGRESS) {
    behaviour(`the connection is lost (${how}) ${progress}`, async (t, world) => {
      let lost = 0;
      const backend = await world.frameBackend(async (connection) => {
        connection.send(settings());
        await connection.first(1, FrameType.DATA);
        if (progress !== 'before headers') connection.send(headers(1, RESPONSE));
        if (progress.startsWith('after a message')) connection.send(data(1, MESSAGE));
        await new Promise<void>((resolve) => connection.socket.write('', () => resolve()));
        lost = performance.now();
        if (how === 'FIN') connection.socket.end();
        else connection.socket.resetAndDestroy();
      });
      const conn = world.dial(backend.port);
      const proxy = await world.proxy(() => ({ primary: { conn } }));
      const stream = world.http2Client(proxy.port).open(METHOD);
      const response = collectResponse(stream);
      stream.write(MESSAGE);
      if (progress.endsWith('half-closed')) stream.end();
      const ended = await response;
      t.equal(status(ended), '14');
      t.match(message(ended), /was lost/);
      t.ok(performance.now() - lost < 1000);
    });
  }
}

for (const code of [1, 2, 11]) {
  behaviour(`GOAWAY with error code ${code} that includes the stream`, async (t, world) => {
    const backend = await world.frameBackend(async (connection) => {
      connection.send(settings());
      await connection.first(1, FrameType.DATA);
      connection.send(headers(1, RESPONSE));
      connection.send(goAway(1, code));
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
    t.equal(status(response), '14');
    t.equal(backend.connections.length, 1);
  });
}

behaviour("a reset of a secondary is its error, not the others'", async (t, world) => {
  const primary = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.DATA);
    connection.send(headers(1, RESPONSE));
    connection.send(headers(1, TRAILERS, END));
  });
  const secondary = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.DATA);
    connection.send(resetStream(1, 11));
  });
  const [conn, other] = [world.dial(primary.port), world.dial(secondary.port)];
  const proxy = await world.proxy(() => ({ primary: { conn }, secondaries: [{ conn: other }] }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(status(response), '13');
  t.match(message(response), /^failed proxying to secondary: .*ENHANCE_YOUR_CALM/);
});

function status(response: Response): string | undefined {
  return fieldValue(response.trailers ?? response.headers, 'grpc-status');
}

function message(response: Response): string | undefined {
  return fieldValue(response.trailers ?? response.headers, 'grpc-message');
}
