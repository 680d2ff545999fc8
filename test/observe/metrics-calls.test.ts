import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import {
  type ClientConn,
  Code,
  compareResponses,
  encodeMessage,
  type Server,
  type ServerOptions,
  type StreamParameters,
} from '../../lib/index.js';
import { type Metrics, type MetricsOptions, metrics } from '../../lib/observe/metrics/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { collectResponse, type Http2Client } from '../support/http2-client.js';
import { MESSAGE } from '../support/unary.js';
import { Reading } from './metrics-reading.js';

const ANSWER = encodeMessage(Buffer.from('the answer'));
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;

/** What the backend does, by the method's path. */
const SERVICE: Readonly<Record<string, OnRequest>> = {
  '/test.Service/Echo': async ({ stream, body }) => respond(stream, (await body()).data),
  '/test.Service/Twice': async ({ stream, body }) => {
    await body();
    respond(stream, Buffer.concat([ANSWER, ANSWER]));
  },
  '/test.Service/Fail': async ({ stream, body }) => {
    await body();
    respond(stream, Buffer.alloc(0), { 'grpc-status': '5' });
  },
  '/test.Service/Silent': ({ stream }) => void stream.resume(),
};

const serve: OnRequest = (request) => {
  const handler = SERVICE[String(request.headers[':path'])];
  if (handler === undefined) respond(request.stream, Buffer.alloc(0), { 'grpc-status': '12' });
  else handler(request);
};

const METHODS = Object.keys(SERVICE).map((path) => path.slice(1));

interface Options {
  readonly onRequest?: OnRequest;
  readonly rest?: () => Omit<StreamParameters, 'primary'>;
  readonly metrics?: MetricsOptions;
  readonly server?: ServerOptions;
}

interface Counted {
  readonly server: Server;
  readonly client: Http2Client;
  readonly conn: ClientConn;
  readonly counts: Metrics;
}

/** A client of a proxy to the service, and its metrics. */
async function counted(world: World, options: Options = {}): Promise<Counted> {
  const backend = await world.http2Backend(options.onRequest ?? serve);
  const conn = world.dial(backend.port);
  const { server, port } = await world.proxy(
    () => ({ primary: { conn }, ...options.rest?.() }),
    options.server,
  );
  const counts = metrics(server, options.metrics ?? { methods: () => METHODS });
  return { server, client: world.http2Client(port), conn, counts };
}

/** What is read once so many calls, attempts and shadows have ended. */
async function readingAfter(counts: Metrics, calls: number, attempts = calls): Promise<Reading> {
  let reading = await Reading.of(counts);
  const isAfter = (): boolean =>
    sum(reading, 'grpc_server_call_duration_seconds_count') === calls &&
    sum(reading, 'grpc_client_attempt_duration_seconds_count') === attempts;
  for (let i = 0; i < 500 && !isAfter(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    reading = await Reading.of(counts);
  }
  return reading;
}

function sum(reading: Reading, name: string): number {
  return Object.values(reading.all(name)).reduce((one, other) => one + other, 0);
}

behaviour('what is counted equals what the client did', async (t, world) => {
  const { server, client, conn, counts } = await counted(world);
  for (let i = 0; i < 5; i++) await client.call('/test.Service/Echo', Buffer.concat([MESSAGE, MESSAGE]));
  for (let i = 0; i < 3; i++) await client.call('/test.Service/Twice', MESSAGE);
  for (let i = 0; i < 4; i++) await client.call('/test.Service/Fail', MESSAGE);
  for (let i = 0; i < 2; i++) await client.call(`/test.Service/Unknown${i}`, MESSAGE);
  await client.call('/test.Service/Silent', MESSAGE, { 'grpc-timeout': '50m' });
  const cancelled = client.open('/test.Service/Silent', {}, true);
  cancelled.write(MESSAGE);
  await eventually('the message has come', () => server.runningCalls[0]?.messagesReceived === 1);
  cancelled.close(NGHTTP2_CANCEL);
  const read = await readingAfter(counts, 16);

  const started = {
    'test.Service/Echo': 5,
    'test.Service/Twice': 3,
    'test.Service/Fail': 4,
    'test.Service/Silent': 2,
    other: 2,
  };
  const ended = {
    'test.Service/Echo OK': 5,
    'test.Service/Twice OK': 3,
    'test.Service/Fail NOT_FOUND': 4,
    'test.Service/Silent CANCELLED': 1,
    'test.Service/Silent DEADLINE_EXCEEDED': 1,
    'other UNIMPLEMENTED': 2,
  };
  t.strictSame(read.all('grpc_server_call_started_total'), started);
  t.strictSame(read.all('grpc_server_call_duration_seconds_count'), ended);
  t.strictSame(read.all('grpc_server_call_sent_total_compressed_message_size_bytes_count'), ended);
  t.strictSame(read.all('grpc_server_call_rcvd_total_compressed_message_size_bytes_count'), ended);
  t.match(read.all('grpc_server_call_rcvd_total_compressed_message_size_bytes_sum'), {
    'test.Service/Echo OK': 5 * 2 * 'message'.length,
    'test.Service/Twice OK': 3 * 'message'.length,
    'test.Service/Fail NOT_FOUND': 4 * 'message'.length,
    'test.Service/Silent CANCELLED': 'message'.length,
  });
  t.match(read.all('grpc_server_call_sent_total_compressed_message_size_bytes_sum'), {
    'test.Service/Echo OK': 5 * 2 * 'message'.length,
    'test.Service/Twice OK': 3 * 2 * 'the answer'.length,
    'test.Service/Fail NOT_FOUND': 0,
    'test.Service/Silent CANCELLED': 0,
  });
  const messages = { 'test.Service/Echo': 10, 'test.Service/Twice': 3, 'test.Service/Fail': 4 };
  t.match(read.all('grpc_server_msg_received_total'), { ...messages, 'test.Service/Silent': 2 });
  t.match(read.all('grpc_server_msg_sent_total'), {
    'test.Service/Echo': 10,
    'test.Service/Twice': 6,
    'test.Service/Fail': 0,
  });
  t.equal(read.value('grpc_frame_proxy_calls_running'), 0);

  const target = { grpc_target: conn.target };
  t.strictSame(read.all('grpc_client_attempt_started_total', target), started);
  t.strictSame(read.all('grpc_client_attempt_duration_seconds_count', target), ended);
  t.match(read.all('grpc_client_attempt_sent_total_compressed_message_size_bytes_sum', target), {
    'test.Service/Echo OK': 5 * 2 * 'message'.length,
    'test.Service/Fail NOT_FOUND': 4 * 'message'.length,
  });
  t.match(read.all('grpc_client_attempt_rcvd_total_compressed_message_size_bytes_sum', target), {
    'test.Service/Twice OK': 3 * 2 * 'the answer'.length,
  });
  t.strictSame(read.all('grpc_frame_proxy_retries_total'), { [conn.target]: 0 });
});

behaviour('a call of 30 ms is in the buckets above it, and in its sum', async (t, world) => {
  const { client, counts } = await counted(world, {
    onRequest: ({ stream }) => void setTimeout(() => respond(stream, ANSWER), 30),
  });
  await client.call('/test.Service/Echo', MESSAGE);
  const read = await readingAfter(counts, 1);
  const labels = { grpc_method: 'test.Service/Echo', grpc_status: 'OK' };
  const bucket = (le: string) => read.value('grpc_server_call_duration_seconds_bucket', { ...labels, le });
  t.equal(bucket('0'), 0);
  t.equal(bucket('0.025'), 0);
  t.equal(bucket('100'), 1);
  t.equal(bucket('+Inf'), 1);
  t.ok(read.value('grpc_server_call_duration_seconds_sum', labels)! >= 0.029);
  const size = (le: string) =>
    read.value('grpc_server_call_rcvd_total_compressed_message_size_bytes_bucket', { ...labels, le });
  t.strictSame([size('0'), size('1024'), size('4294967296')], [0, 1, 1]);
});

behaviour('messages are counted while streams run, and never fall', async (t, world) => {
  const { client, counts, server } = await counted(world, {
    onRequest: ({ stream }) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.on('data', (chunk: Buffer) => stream.write(chunk));
      stream.on('end', () => stream.end());
    },
  });
  const stream = client.open('/test.Service/Echo');
  const response = collectResponse(stream);
  for (let sent = 1; sent <= 5; sent++) {
    stream.write(MESSAGE);
    await eventually(`${sent} have come back`, () => server.runningCalls[0]?.messagesSent === sent);
    const read = await Reading.of(counts);
    t.strictSame(read.all('grpc_server_msg_received_total'), { 'test.Service/Echo': sent });
    t.strictSame(read.all('grpc_server_msg_sent_total'), { 'test.Service/Echo': sent });
    t.equal(read.value('grpc_frame_proxy_calls_running'), 1);
    t.strictSame(read.all('grpc_server_call_duration_seconds_count'), {});
  }
  stream.end();
  await response;
  const read = await readingAfter(counts, 1);
  t.strictSame(read.all('grpc_server_msg_received_total'), { 'test.Service/Echo': 5 });
  t.strictSame(read.all('grpc_server_msg_sent_total'), { 'test.Service/Echo': 5 });
  t.equal(read.value('grpc_frame_proxy_calls_running'), 0);
});

behaviour(
  'a call keeps the label that it began with: when its method gets its own, and when it gets another method',
  async (t, world) => {
    const { client, counts, server } = await counted(world, {
      metrics: {},
      server: {
        interceptors: [
          (stream, next) => {
            if (stream.method === '/test.Service/Old') {
              stream.context = stream.context.withMethod('/test.Service/Echo');
            }
            return next();
          },
        ],
      },
    });
    const open = async (path: string) => {
      const stream = client.open(path);
      const response = collectResponse(stream);
      stream.write(MESSAGE);
      const running = server.runningCalls.length;
      await eventually('it runs', () => server.runningCalls[running]?.messagesReceived === 1);
      return { stream, response };
    };
    const first = await open('/test.Service/Echo');
    await client.call('/test.Service/Echo', MESSAGE);
    await client.call('/test.Service/Echo', MESSAGE);
    const renamed = await open('/test.Service/Old');
    const second = await open('/test.Service/Echo');
    const labels = { 'test.Service/Echo': 2, other: 3 };
    const running = await readingAfter(counts, 2);
    t.strictSame(running.all('grpc_server_call_started_total'), labels);
    t.strictSame(running.all('grpc_server_msg_received_total'), labels);
    for (const { stream, response } of [first, renamed, second]) {
      stream.end();
      await response;
    }
    const ended = await readingAfter(counts, 5);
    t.strictSame(ended.all('grpc_server_msg_received_total'), labels);
    t.strictSame(ended.all('grpc_server_call_duration_seconds_count'), {
      'test.Service/Echo OK': 2,
      'other OK': 3,
    });
  },
);

behaviour(
  'calls that began before are not counted, neither while they run nor at their end',
  async (t, world) => {
    const backend = await world.http2Backend(serve);
    const conn = world.dial(backend.port);
    const { server, port } = await world.proxy(() => ({ primary: { conn } }), { observer: {} });
    const client = world.http2Client(port);
    const stream = client.open('/test.Service/Echo');
    const response = collectResponse(stream);
    stream.write(MESSAGE);
    await eventually('it runs', () => server.runningCalls[0]?.messagesReceived === 1);
    const counts = metrics(server, { methods: () => METHODS });
    await client.call('/test.Service/Twice', MESSAGE);
    await client.call('/test.Service/Unknown', MESSAGE);
    const expected = { 'test.Service/Twice': 1, other: 1 };
    t.strictSame((await readingAfter(counts, 2)).all('grpc_server_msg_received_total'), expected);
    stream.end();
    await response;
    await eventually('it has ended', () => server.runningCalls.length === 0);
    const read = await readingAfter(counts, 2);
    t.strictSame(read.all('grpc_server_msg_received_total'), expected);
    t.strictSame(read.all('grpc_server_call_started_total'), expected);
  },
);

behaviour('attempts are counted each, and those after the first as retries', async (t, world) => {
  let requests = 0;
  const retry = {
    maxAttempts: 3,
    codes: [Code.UNAVAILABLE],
    initialBackoff: 1,
    maxBackoff: 1,
    multiplier: 1,
  };
  const { client, conn, counts } = await counted(world, {
    onRequest: (request) => {
      const number = requests++;
      const unavailable = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' };
      if (number === 0) request.stream.respond(unavailable, { endStream: true });
      else if (number === 2) request.stream.close(NGHTTP2_REFUSED_STREAM);
      else serve(request);
    },
    rest: () => ({ callOptions: { retry } }),
  });
  // By the policy, and by itself.
  for (let i = 0; i < 2; i++) await client.call('/test.Service/Echo', MESSAGE);
  const read = await readingAfter(counts, 2, 4);
  const target = { grpc_target: conn.target };
  t.strictSame(read.all('grpc_server_call_duration_seconds_count'), { 'test.Service/Echo OK': 2 });
  t.strictSame(read.all('grpc_client_attempt_started_total', target), { 'test.Service/Echo': 4 });
  t.strictSame(read.all('grpc_client_attempt_duration_seconds_count', target), {
    'test.Service/Echo OK': 2,
    'test.Service/Echo UNAVAILABLE': 2,
  });
  t.equal(read.value('grpc_frame_proxy_retries_total', target), 2);
  t.strictSame(read.all('grpc_server_msg_received_total'), { 'test.Service/Echo': 2 });
  t.strictSame(read.all('grpc_server_msg_sent_total'), { 'test.Service/Echo': 2 });
});

behaviour('a destination without a connection is an attempt that failed', async (t, world) => {
  const nobody = world.dial(1);
  const { server, port } = await world.proxy(() => ({ primary: { conn: nobody } }));
  const counts = metrics(server);
  await world.http2Client(port).call('/test.Service/Echo', MESSAGE);
  const read = await readingAfter(counts, 1);
  t.strictSame(read.all('grpc_server_call_duration_seconds_count'), { 'other UNAVAILABLE': 1 });
  t.strictSame(read.all('grpc_client_attempt_duration_seconds_count', { grpc_target: nobody.target }), {
    'other UNAVAILABLE': 1,
  });
});

behaviour('shadows are counted by their results, and comparisons by theirs', async (t, world) => {
  const other = await world.http2Backend((request) =>
    request.headers[':path'] === '/test.Service/Twice' ? respond(request.stream, ANSWER) : serve(request),
  );
  const silent = await world.http2Backend(({ stream }) => void stream.resume());
  const [shadow, slow] = [world.dial(other.port), world.dial(silent.port)];
  const backend = await world.http2Backend(serve);
  const conn = world.dial(backend.port);
  let counts: Metrics | undefined;
  const { server, port } = await world.proxy(() =>
    compareResponses(
      {
        primary: { conn },
        shadows: [{ conn: shadow }, { conn: slow, graceMilliseconds: 20 }],
      },
      { onVerdict: (verdict) => counts?.onVerdict(verdict) },
    ),
  );
  counts = metrics(server, { methods: () => METHODS });
  const client = world.http2Client(port);
  for (const path of ['/test.Service/Echo', '/test.Service/Twice', '/test.Service/Twice']) {
    await client.call(path, MESSAGE);
  }
  const read = await readingAfter(counts, 3, 9);
  t.match(read.all('grpc_frame_proxy_shadow_calls_total', { grpc_target: shadow.target }), {
    ok: 3,
    error: 0,
    lagged: 0,
    expired: 0,
    cancelled: 0,
  });
  t.match(read.all('grpc_frame_proxy_shadow_calls_total', { grpc_target: slow.target }), { expired: 3 });
  t.strictSame(read.all('grpc_frame_proxy_compare_total', { grpc_target: shadow.target }), {
    'test.Service/Echo same': 1,
    'test.Service/Twice different': 2,
  });
  t.strictSame(read.all('grpc_frame_proxy_compare_total', { grpc_target: slow.target }), {
    'test.Service/Echo inconclusive': 1,
    'test.Service/Twice inconclusive': 2,
  });
  t.strictSame(read.all('grpc_client_attempt_started_total', { grpc_target: slow.target }), {
    'test.Service/Echo': 1,
    'test.Service/Twice': 2,
  });
});

behaviour('requests that are no gRPC are refused peers', async (t, world) => {
  const { client, counts } = await counted(world);
  await client.call('/a', MESSAGE, { 'content-type': 'text/plain' });
  await client.call('/b', Buffer.alloc(0), { ':method': 'PUT' });
  const read = await Reading.of(counts);
  t.strictSame(read.all('grpc_frame_proxy_peers_refused_total'), { not_grpc: 2 });
  t.strictSame(read.all('grpc_server_call_started_total'), {});
});

behaviour('a client that speaks something else is a refused peer', async (t, world) => {
  const { server, port } = await world.proxy(() => {
    throw new Error('unreachable');
  });
  const counts = metrics(server);
  const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
  socket.on('error', () => {}).resume();
  await once(socket, 'close');
  const read = await Reading.of(counts);
  t.strictSame(read.all('grpc_frame_proxy_peers_refused_total'), { not_http2: 1 });
});

behaviour('connections to backends are told, and those that could not be made', async (t, world) => {
  const backend = await world.http2Backend(serve);
  const [conn, nobody] = [world.dial(backend.port), world.dial(1)];
  const { server, port } = await world.proxy(({ metadata }) => ({
    primary: { conn: metadata.has('nobody') ? nobody : conn },
  }));
  const counts = metrics(server, {
    backends: () => [
      ['files', conn],
      ['nobody', nobody],
    ],
  });
  const client = world.http2Client(port);
  await client.call('/test.Service/Echo', MESSAGE);
  await client.call('/test.Service/Echo', MESSAGE, { nobody: '1' });
  const read = await Reading.of(counts);
  t.match(read.all('grpc_frame_proxy_backend_connections'), { 'files READY': 1, 'nobody READY': 0 });
  t.strictSame(read.all('grpc_frame_proxy_backend_connection_failures_total'), { files: 0, nobody: 1 });
  t.strictSame(read.all('grpc_frame_proxy_backend_ejections_total'), { files: 0, nobody: 0 });
});

behaviour('names that a client makes up are one', async (t, world) => {
  const { client, counts } = await counted(world);
  const names = Array.from({ length: 300 }, (_, i) => `/made.Up${i}/Method`);
  for (let round = 0; round < 2; round++) await Promise.all(names.map((name) => client.call(name, MESSAGE)));
  await client.call('/test.Service/Echo', MESSAGE);
  const read = await readingAfter(counts, 601);
  t.strictSame(read.values('grpc_method').sort(), ['other', 'test.Service/Echo']);
  t.equal(read.value('grpc_server_call_started_total', { grpc_method: 'other' }), 600);
});

behaviour('scrapes by many at once hold up no call', async (t, world) => {
  const { client, counts, server } = await counted(world);
  const calls = Array.from({ length: 200 }, () => client.call('/test.Service/Echo', MESSAGE));
  const texts = await Promise.all(Array.from({ length: 200 }, () => counts.text()));
  t.equal(new Set(texts.map(({ body }) => body)).size, 1, 'all are given one');
  await Promise.all(calls);
  await eventually('none runs', () => server.runningCalls.length === 0);
  const read = await readingAfter(counts, 200);
  t.equal(read.value('grpc_server_call_started_total', { grpc_method: 'test.Service/Echo' }), 200);
});
