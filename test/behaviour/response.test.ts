import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type CallOptions, encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { REQUEST, RESPONSE, TRAILERS } from '../support/fields.js';
import {
  data,
  dataOf,
  END,
  Flag,
  FrameType,
  headers,
  ping,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue, type Response } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

/** The client's view of a call that the backend answers so. */
async function answered(
  world: World,
  onRequest: OnRequest,
  callOptions: CallOptions = {},
  secondary?: OnRequest,
): Promise<Response> {
  const backend = await world.http2Backend(onRequest);
  const conn = world.dial(backend.port);
  const secondaries =
    secondary === undefined ? [] : [{ conn: world.dial((await world.http2Backend(secondary)).port) }];
  const proxy = await world.proxy(() => ({ primary: { conn }, secondaries, callOptions }));
  return world.http2Client(proxy.port).call(METHOD, MESSAGE);
}

function status(response: Response): string | undefined {
  return fieldValue(response.trailers ?? response.headers, 'grpc-status');
}

behaviour('response headers are passed on before any message', async (t, world) => {
  let finish!: () => void;
  const backend = await world.http2Backend(({ stream }) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'x-header': ['1', '2'] },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    finish = () => stream.end();
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  await new Promise((resolve) => stream.once('response', resolve));
  stream.end();
  finish();
  const { headers, trailersOnly, data, trailers } = await response;
  t.same(headers?.slice(0, 8), [
    ':status',
    '200',
    'content-type',
    'application/grpc',
    'x-header',
    '1',
    'x-header',
    '2',
  ]);
  t.equal(trailersOnly, false);
  t.equal(data.length, 0);
  t.same(trailers, ['grpc-status', '0']);
});

behaviour('headers, payloads and trailers are opaque', async (t, world) => {
  const compressed = gzipSync(Buffer.from('compressed'));
  const prefix = Buffer.from([1, 0, 0, 0, compressed.length]);
  const body = Buffer.concat([prefix, compressed, MESSAGE, encodeMessage(randomBytes(200_000))]);
  const headers = {
    'content-type': 'application/grpc+odd',
    'grpc-encoding': 'gzip',
    'grpc-accept-encoding': 'identity,deflate,gzip',
    'x-odd': 'a, b;"%zz"',
    'x-odd-bin': ['AA,BB', 'not base64!'],
  };
  const trailers = {
    'grpc-status': '0',
    'grpc-message': '%zz%E2%82 odd',
    'grpc-status-details-bin': 'not base64!',
    'x-trailer-bin': ['AA==', 'AA'],
  };
  const response = await answered(world, ({ stream }) => respond(stream, body, trailers, headers));
  t.ok(response.data.equals(body));
  const flat = (fields: object) =>
    Object.entries(fields).flatMap(([name, value]) => [value].flat().flatMap((one) => [name, String(one)]));
  t.same(response.headers?.slice(2, -2), flat(headers));
  t.same(response.trailers, flat(trailers));
});

behaviour('no field is added to a response', async (t, world) => {
  let sent!: string[];
  const response = await answered(world, ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-a': '1' }, {
      waitForTrailers: true,
      sendDate: false,
    } as object);
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end();
    sent = [':status', '200', 'content-type', 'application/grpc', 'x-a', '1'];
  });
  t.same(response.headers, sent);
});

for (const code of ['0', '5']) {
  behaviour(`a Trailers-Only response with status ${code} stays so`, async (t, world) => {
    const response = await answered(world, ({ stream }) => {
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc+odd',
          'grpc-status': code,
          'grpc-message': '%zz',
          'x-only': ['1', '2'],
        },
        { endStream: true, sendDate: false } as object,
      );
    });
    t.equal(response.trailersOnly, true);
    t.same(response.headers, [
      ':status',
      '200',
      'content-type',
      'application/grpc+odd',
      'grpc-status',
      code,
      'grpc-message',
      '%zz',
      'x-only',
      '1',
      'x-only',
      '2',
    ]);
  });
}

behaviour('trailers without a grpc-status are UNKNOWN', async (t, world) => {
  const response = await answered(world, ({ stream }) => respond(stream, MESSAGE, { 'x-trailer': '1' }));
  t.same(response.data, MESSAGE);
  t.equal(status(response), '2');
});

for (const isHalfClosed of [false, true]) {
  for (const isApart of [false, true]) {
    const when = `${isHalfClosed ? 'after' : 'before'} the half-close${isApart ? ', by an empty DATA' : ''}`;
    behaviour(`a response that ends without trailers ${when}, is INTERNAL`, async (t, world) => {
      const backend = await world.frameBackend(async (connection) => {
        connection.send(settings());
        await connection.first(1, FrameType.DATA);
        if (isHalfClosed) await connection.until(() => connection.hasEnded(1));
        const end = isApart
          ? [data(1, MESSAGE), data(1, '', Flag.END_STREAM)]
          : [data(1, MESSAGE, Flag.END_STREAM)];
        connection.send(headers(1, RESPONSE), ...end);
      });
      const conn = world.dial(backend.port);
      const proxy = await world.proxy(() => ({ primary: { conn } }));
      const stream = world.http2Client(proxy.port).open(METHOD);
      const answer = collectResponse(stream);
      stream.write(MESSAGE);
      if (isHalfClosed) stream.end();
      const response = await answer;
      t.same(response.data, MESSAGE);
      t.equal(status(response), '13');
      t.match(fieldValue(response.trailers, 'grpc-message'), /ended the response without trailers/);
    });
  }
}

behaviour('a response that ends without trailers is INTERNAL, also when it was held', async (t, world) => {
  // More than a transport takes for a client that gives no room.
  const body = encodeMessage(Buffer.alloc(200_000));
  const backend = await world.frameBackend();
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = await world.frameClient(proxy.port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  client.send(headers(1, REQUEST, END));
  const connection = await backend.accept();
  connection.send(settings());
  await connection.until(() => connection.hasEnded(1));
  connection.send(headers(1, RESPONSE));
  for (let i = 0; i < body.length; i += 16_000) connection.send(data(1, body.subarray(i, i + 16_000)));
  connection.send(data(1, '', Flag.END_STREAM));
  await connection.roundTrip();
  await client.nextHeaders(1);
  // Without any room left, node:http2 sends no trailers either.
  client.send(windowUpdate(1, body.length + 1));
  const trailers = await client.nextHeaders(1);
  t.equal(dataOf(client.of(1, FrameType.DATA)).length, body.length);
  t.equal(fieldValue(trailers, 'grpc-status'), '13');
  t.match(fieldValue(trailers, 'grpc-message'), /ended the response without trailers/);
});

const HTTP_STATUSES = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
  500: 2,
  302: 2,
  418: 2,
};

for (const [httpStatus, code] of Object.entries(HTTP_STATUSES)) {
  for (const bodied of [true, false]) {
    behaviour(`HTTP status ${httpStatus}${bodied ? ' with a page' : ''}`, async (t, world) => {
      const response = await answered(world, ({ stream }) => {
        stream.respond(
          { ':status': Number(httpStatus), 'content-type': 'text/html' },
          { endStream: !bodied },
        );
        if (bodied) stream.end('<html><body>No.</body></html>'.repeat(100));
      });
      t.equal(response.trailersOnly, true);
      t.equal(status(response), String(code));
      t.match(fieldValue(response.headers, 'grpc-message'), new RegExp(`HTTP status ${httpStatus}`));
      t.equal(fieldValue(response.headers, ':status'), '200');
      t.equal(response.data.length, 0);
    });
  }
}

for (const contentType of ['text/html', 'application/grpc-web+proto', undefined]) {
  behaviour(`a response whose content-type is ${contentType}`, async (t, world) => {
    const response = await answered(world, ({ stream }) => {
      stream.respond({ ':status': 200, 'content-type': contentType });
      stream.end('<html>');
    });
    t.equal(status(response), '2');
    t.equal(response.data.length, 0);
    t.equal(response.trailersOnly, true);
  });
}

behaviour('a response that ends inside a message is an error', async (t, world) => {
  const response = await answered(world, ({ stream }) =>
    respond(stream, Buffer.concat([MESSAGE, MESSAGE.subarray(0, 8)])),
  );
  t.equal(status(response), '13');
});

behaviour('a response with a bad compressed flag is an error', async (t, world) => {
  const response = await answered(world, ({ stream }) =>
    respond(stream, Buffer.concat([MESSAGE, Buffer.of(2, 0, 0, 0, 0)])),
  );
  t.equal(status(response), '13');
});

behaviour('a response message over maxReceiveMessageBytes is RESOURCE_EXHAUSTED', async (t, world) => {
  const response = await answered(
    world,
    ({ stream }) =>
      respond(stream, Buffer.concat([encodeMessage(Buffer.alloc(100)), encodeMessage(Buffer.alloc(101))])),
    { maxReceiveMessageBytes: 100 },
  );
  t.equal(status(response), '8');
});

behaviour("a secondary's response of megabytes is read to its end and dropped", async (t, world) => {
  const body = encodeMessage(Buffer.alloc(8 * 1024 * 1024));
  let closed = false;
  const response = await answered(
    world,
    ({ stream }) => respond(stream, MESSAGE),
    {},
    ({ stream }) => {
      respond(stream, body);
      stream.once('close', () => {
        closed = stream.rstCode === 0;
      });
    },
  );
  t.equal(status(response), '0');
  t.same(response.data, MESSAGE);
  t.equal(closed, true);
});

behaviour('interim responses are not the response', async (t, world) => {
  const response = await answered(world, ({ stream }) => {
    stream.additionalHeaders({ ':status': 103, 'x-hint': 'early' });
    respond(stream, MESSAGE);
  });
  t.equal(status(response), '0');
  t.equal(fieldValue(response.headers, 'x-hint'), undefined);
});

behaviour('the call options are told of headers, trailers and the end', async (t, world) => {
  const told: string[] = [];
  await answered(
    world,
    ({ stream }) => respond(stream, MESSAGE, { 'grpc-status': '5', 'x-trailer': '2' }, { 'x-header': '1' }),
    {
      onHeaders: (metadata) => told.push(`headers ${metadata.get('x-header')}`),
      onTrailers: (metadata) => told.push(`trailers ${metadata.get('x-trailer')}`),
      onFinish: (error) => told.push(`finish ${error?.code}`),
    },
  );
  t.same(told, ['headers 1', 'trailers 2', 'finish 5']);
});

behaviour('what a response is on the wire: HEADERS, DATA, HEADERS with END_STREAM', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => respond(stream, MESSAGE));
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = await world.frameClient(proxy.port);
  client.send(headers(1, REQUEST));
  client.send(data(1, MESSAGE, Flag.END_STREAM));
  await client.until(() => client.of(1, FrameType.HEADERS).length === 2);
  client.send(ping(Buffer.alloc(8)));
  await client.first(0, FrameType.PING);
  const frames = client
    .of(1)
    .filter(
      ({ type, payload }) =>
        type !== FrameType.WINDOW_UPDATE && (type !== FrameType.DATA || payload.length > 0),
    );
  t.same(
    frames.map(({ type, flags }) => [type, flags & Flag.END_STREAM]),
    [
      [FrameType.HEADERS, 0],
      [FrameType.DATA, 0],
      [FrameType.HEADERS, Flag.END_STREAM],
    ],
  );
});

behaviour('SETTINGS advertise a high MAX_CONCURRENT_STREAMS', async (t, world) => {
  const proxy = await world.proxy(() => {
    throw new Error('not called');
  });
  const client = await world.frameClient(proxy.port);
  const { payload } = await client.first(0, FrameType.SETTINGS);
  const settings = new Map<number, number>();
  for (let i = 0; i < payload.length; i += 6)
    settings.set(payload.readUInt16BE(i), payload.readUInt32BE(i + 2));
  t.ok((settings.get(3) ?? Infinity) >= 2 ** 31 - 1, `${settings.get(3)}`);
});

behaviour('a response in frames cut anywhere', async (t, world) => {
  const body = Buffer.concat([MESSAGE, encodeMessage(Buffer.alloc(0)), MESSAGE]);
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.HEADERS);
    connection.send(headers(1, RESPONSE));
    for (let i = 0; i < body.length; i++) {
      connection.send(data(1, body.subarray(i, i + 1)));
      connection.send(data(1, Buffer.alloc(0)));
    }
    connection.send(headers(1, TRAILERS, END));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(status(response), '0');
  t.same(response.data, body);
});

behaviour('a response shorter than its content-length ends in a status, not in a reset', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.HEADERS);
    connection.send(headers(1, [...RESPONSE, 'content-length', '100']));
    connection.send(data(1, MESSAGE));
    connection.send(headers(1, TRAILERS, END));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.headers, 'content-length'), undefined);
  t.equal(status(response), '13');
  t.equal(response.resetCode, 0);
});
