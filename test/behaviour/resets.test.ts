import { encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import { data, END, FrameType, goAway, headers, resetStream, settings } from '../support/frame.js';
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
      // node:http2 shows RST_STREAM(NO_ERROR) after the half-close as a plain end.
      if (code !== 0) t.match(message(ended), new RegExp(`reset the stream: ${name}`));
      t.equal(ended.trailersOnly, progress === 'before headers');
    });
  }
}

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
