import { constants, type ServerHttp2Stream } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import {
  Code,
  encodeMessage,
  MessageParser,
  type Metadata,
  type ResponseObserver,
  StatusError,
} from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';
import { ProcessEvents } from '../support/process-events.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const REQUEST = encodeMessage(Buffer.from('request'));

function entries(metadata: Metadata): string[] {
  return [...metadata].filter(([name]) => name !== 'date').map(([name, value]) => `${name}=${String(value)}`);
}

/** Keeps all that it sees, as text. */
class Recorder implements ResponseObserver {
  readonly seen: string[] = [];
  readonly payloads: Buffer[] = [];

  onHeaders(metadata: Metadata): void {
    this.seen.push(`headers ${entries(metadata)}`);
  }

  onMessage(payload: Buffer, compressed: boolean): void {
    this.payloads.push(payload);
    this.seen.push(`${compressed ? 'compressed' : 'message'} ${payload}`);
  }

  onStatus(error: StatusError | undefined, trailers: Metadata): void {
    const result = error === undefined ? 'OK' : `${Code[error.code]} ${error.message}`;
    this.seen.push(`status ${result} ${entries(trailers)}`);
  }
}

/** Answers with the body cut into pieces of this size, each in a frame of its own. */
async function respondInPieces(stream: ServerHttp2Stream, body: Buffer, size: number): Promise<void> {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  for (let offset = 0; offset < body.length; offset += size) {
    stream.write(body.subarray(offset, offset + size));
    await turn();
  }
  stream.end();
}

behaviour('observers see what the primary and each secondary answer', async (t, world) => {
  const body = Buffer.concat([
    encodeMessage(Buffer.from('one')),
    encodeMessage(Buffer.alloc(0)),
    encodeMessage(Buffer.from('three'), true),
  ]);
  const backend = await world.http2Backend(async ({ stream, headers, body: request }) => {
    const name = String(headers['x-name']);
    await request();
    respond(
      stream,
      name === 'b' ? encodeMessage(Buffer.from('other')) : body,
      {
        'grpc-status': name === 'c' ? '9' : '0',
        'grpc-message': name === 'c' ? 'not%20yet' : '',
        'x-end': name,
      },
      { 'x-begin': [`${name}1`, `${name}2`] },
    );
  });
  const conn = world.dial(backend.port);
  const recorders = { a: new Recorder(), b: new Recorder(), c: new Recorder() };
  const proxy = await world.proxy((ctx) => {
    const destination = (name: keyof typeof recorders) => {
      const metadata = ctx.metadata.clone();
      metadata.set('x-name', name);
      return {
        conn,
        ctx: ctx.withMetadata(metadata),
        observer: recorders[name],
        errHandler: () => null,
      };
    };
    return { primary: destination('a'), secondaries: [destination('b'), destination('c')] };
  });
  const response = await world.http2Client(proxy.port).call(METHOD, REQUEST);
  t.strictSame(response.data, body, 'the client gets the primary’s answer, untouched');
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  t.strictSame(recorders.a.seen, [
    'headers x-begin=a1,x-begin=a2',
    'message one',
    'message ',
    'compressed three',
    'status OK x-end=a',
  ]);
  t.strictSame(recorders.b.seen, ['headers x-begin=b1,x-begin=b2', 'message other', 'status OK x-end=b']);
  t.strictSame(recorders.c.seen, [
    'headers x-begin=c1,x-begin=c2',
    'message one',
    'message ',
    'compressed three',
    'status FAILED_PRECONDITION not yet x-end=c',
  ]);
});

behaviour('messages are whole, however their bytes are cut', async (t, world) => {
  const payloads = [Buffer.from('a message'), Buffer.alloc(0), Buffer.alloc(300, 'x'), Buffer.from('end')];
  const body = Buffer.concat(payloads.map((payload) => encodeMessage(payload)));
  for (const size of [1, 2, 3, 5, 7, 100]) {
    const backend = await world.http2Backend(({ stream }) => void respondInPieces(stream, body, size));
    const conn = world.dial(backend.port);
    const recorder = new Recorder();
    const proxy = await world.proxy(() => ({
      primary: { conn },
      secondaries: [{ conn, observer: recorder }],
    }));
    const response = await world.http2Client(proxy.port).call(METHOD, REQUEST);
    t.strictSame(response.data, body);
    t.strictSame(recorder.payloads, payloads, `pieces of ${size}`);
  }
});

behaviour('messages that come together are slices of what was received', async (t, world) => {
  const body = Buffer.concat([encodeMessage(Buffer.from('one')), encodeMessage(Buffer.from('two'))]);
  const backend = await world.http2Backend(({ stream }) => respond(stream, body));
  const conn = world.dial(backend.port);
  const recorder = new Recorder();
  const proxy = await world.proxy(() => ({ primary: { conn, observer: recorder } }));
  await world.http2Client(proxy.port).call(METHOD, REQUEST);
  const [one, two] = recorder.payloads;
  t.strictSame(recorder.payloads, [Buffer.from('one'), Buffer.from('two')]);
  t.equal(one!.buffer, two!.buffer, 'the same memory');
  t.equal(two!.byteOffset - one!.byteOffset, 'one'.length + 5, 'side by side');
});

behaviour('a Trailers-Only answer is a status without headers', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) =>
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': '5',
        'grpc-message': 'no',
        'x-end': '1',
      },
      { endStream: true },
    ),
  );
  const conn = world.dial(backend.port);
  const recorder = new Recorder();
  const proxy = await world.proxy(() => ({ primary: { conn, observer: recorder } }));
  const response = await world.http2Client(proxy.port).call(METHOD, REQUEST);
  t.equal(response.trailersOnly, true);
  t.strictSame(recorder.seen, ['status NOT_FOUND no x-end=1']);
});

behaviour('the status is observed however the destination ends, once', async (t, world) => {
  const arrived = new Countdown(2);
  const backend = await world.http2Backend(({ stream, headers }) => {
    if (headers['x-end'] === 'reset') stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else arrived.tick();
  });
  const conn = world.dial(backend.port);
  const recorders = [new Recorder(), new Recorder()];
  const finalized = new Countdown(1);
  const proxy = await world.proxy(() => ({
    primary: { conn, observer: recorders[0] },
    secondaries: [{ conn, observer: recorders[1] }],
    requestFinalizer: () => finalized.tick(),
  }));
  const client = world.http2Client(proxy.port);
  client.open(METHOD);
  await within(2000, 'two streams', arrived.done);
  client.destroy();
  await within(2000, 'the end', finalized.done);
  for (const recorder of recorders)
    t.strictSame(recorder.seen, ['status CANCELLED the client disconnected: GOAWAY NO_ERROR ']);

  const reset = [new Recorder(), new Recorder()];
  const second = await world.proxy(() => ({
    primary: { conn, observer: reset[0] },
    secondaries: [{ conn, observer: reset[1] }],
  }));
  const response = await world.http2Client(second.port).call(METHOD, REQUEST, { 'x-end': 'reset' });
  t.equal(fieldValue(response.headers, 'grpc-status'), String(Code.UNAVAILABLE));
  for (const { seen } of reset) {
    t.equal(seen.length, 1);
    t.match(seen[0], /^status UNAVAILABLE .*REFUSED_STREAM/);
  }
});

behaviour('comparing: the finalizer can fail a call whose destinations disagree', async (t, world) => {
  const answers: Record<string, readonly string[]> = { agree: ['x', 'x', 'x'], differ: ['x', 'x', 'y'] };
  const backend = await world.http2Backend(async ({ stream, headers, body }) => {
    await body();
    const answer = answers[String(headers['x-case'])]![Number(headers['x-index'])]!;
    respond(stream, encodeMessage(Buffer.from(answer)));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy((ctx) => {
    const recorders = [new Recorder(), new Recorder(), new Recorder()];
    const [primary, ...secondaries] = recorders.map((observer, index) => {
      const metadata = ctx.metadata.clone();
      metadata.set('x-index', String(index));
      return { conn, ctx: ctx.withMetadata(metadata), observer };
    });
    return {
      primary: primary!,
      secondaries,
      requestFinalizer: () => {
        const distinct = new Set(recorders.map(({ seen }) => seen.join('\n')));
        if (distinct.size > 1) throw new StatusError(Code.DATA_LOSS, `${distinct.size} different answers`);
      },
    };
  });
  const client = world.http2Client(proxy.port);
  const agreed = await client.call(METHOD, REQUEST, { 'x-case': 'agree' });
  t.equal(fieldValue(agreed.trailers, 'grpc-status'), '0');
  const differed = await client.call(METHOD, REQUEST, { 'x-case': 'differ' });
  t.equal(fieldValue(differed.trailers, 'grpc-status'), String(Code.DATA_LOSS));
  t.equal(fieldValue(differed.trailers, 'grpc-message'), '2 different answers');
});

behaviour('voting: a minority of failures among the secondaries does not fail the call', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, headers, body }) => {
    await body();
    const failing = String(headers['x-failing']).split(',');
    respond(stream, REQUEST, { 'grpc-status': failing.includes(String(headers['x-index'])) ? '10' : '0' });
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy((ctx) => {
    let votes = 0;
    const [primary, ...secondaries] = [0, 1, 2].map((index) => {
      const metadata = ctx.metadata.clone();
      metadata.set('x-index', String(index));
      const observer: ResponseObserver = {
        onStatus: (error) => {
          if (error === undefined) votes++;
        },
      };
      return { conn, ctx: ctx.withMetadata(metadata), observer, errHandler: () => null };
    });
    return {
      primary: primary!,
      secondaries,
      requestFinalizer: () => {
        if (votes < 2) throw new StatusError(Code.ABORTED, `only ${votes} of 3`);
      },
    };
  });
  const client = world.http2Client(proxy.port);
  for (const [failing, code] of [
    ['none', '0'],
    ['2', '0'],
    ['1,2', '10'],
  ] as const) {
    const { trailers } = await client.call(METHOD, REQUEST, { 'x-failing': failing });
    t.equal(fieldValue(trailers, 'grpc-status'), code, `failing: ${failing}`);
  }
});

behaviour(
  'an observer that throws is left alone, and breaks neither the call nor its neighbours',
  async (t, world) => {
    const body = Buffer.concat([REQUEST, REQUEST, REQUEST]);
    const backend = await world.http2Backend(({ stream }) => respond(stream, body));
    const conn = world.dial(backend.port);
    for (const name of ['onHeaders', 'onMessage', 'onStatus'] as const) {
      const events = new ProcessEvents(t);
      let calls = 0;
      const broken = new Recorder();
      broken[name] = () => {
        calls++;
        throw new Error(`${name} is broken`);
      };
      const neighbour = new Recorder();
      const proxy = await world.proxy(() => ({
        primary: { conn, observer: broken },
        secondaries: [{ conn, observer: neighbour }],
      }));
      const response = await world.http2Client(proxy.port).call(METHOD, REQUEST);
      t.strictSame(response.data, body);
      t.equal(fieldValue(response.trailers, 'grpc-status'), String(status.OK));
      t.strictSame(neighbour.seen, ['headers ', ...Array(3).fill('message request'), 'status OK ']);
      t.equal(calls, 1, 'not called again for this response');
      t.equal(broken.seen.length, { onHeaders: 0, onMessage: 1, onStatus: 4 }[name], 'nor its other methods');
      await events.settled();
      t.strictSame(events.warnings, [`${name} is broken`]);
      t.strictSame(events.fatal, []);
    }
  },
);

behaviour('without an observer of messages no response is cut into messages', async (t, world) => {
  const push = MessageParser.prototype.push;
  let parsed = 0;
  MessageParser.prototype.push = function (chunk: Buffer): void {
    parsed++;
    push.call(this, chunk);
  };
  t.teardown(() => {
    MessageParser.prototype.push = push;
  });
  const backend = await world.http2Backend(({ stream }) => respond(stream, REQUEST));
  const conn = world.dial(backend.port);
  let observer: ResponseObserver | undefined;
  const proxy = await world.proxy(() => ({ primary: { conn, observer }, secondaries: [{ conn }] }));
  const client = world.http2Client(proxy.port);
  await client.call(METHOD, REQUEST);
  let ended = 0;
  observer = { onStatus: () => ended++ };
  await client.call(METHOD, REQUEST);
  t.equal(ended, 1);
  t.equal(parsed, 0);
  observer = new Recorder();
  await client.call(METHOD, REQUEST);
  t.equal(parsed, 1);
});
