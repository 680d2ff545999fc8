import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import t, { type Test } from 'tap';
import { Code, Metadata, type ResponseObserver, StatusError, type StreamDirector } from '../../lib/index.js';
import { methodNameOf, targetAttributes } from '../../lib/observe/tracing/attributes.js';
import { encodeSpanContext, spanContextIn } from '../../lib/observe/tracing/grpc-trace-bin.js';
import { tracing } from '../../lib/observe/tracing/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { outcome, runningCall } from '../support/fake-calls.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { ProcessEvents } from '../support/process-events.js';
import { MESSAGE, METHOD, ok, status } from '../support/unary.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const NAME = METHOD.slice(1);

/** Registers an SDK while the test runs. */
function sdk(t: Test, sampler?: Sampler): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
    ...(sampler && { sampler }),
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({
      propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
    }),
  );
  t.teardown(() => {
    trace.disable();
    context.disable();
    propagation.disable();
  });
  return exporter;
}

/** A proxy that is traced. */
async function traced(world: World, director: StreamDirector) {
  const proxy = await world.proxy(director);
  tracing(proxy.server);
  return { ...proxy, client: world.http2Client(proxy.port) };
}

async function spansOf(exporter: InMemorySpanExporter, count: number): Promise<ReadableSpan[]> {
  await eventually(`${count} spans`, () => exporter.getFinishedSpans().length >= count);
  const spans = exporter.getFinishedSpans();
  if (spans.length > count) throw new Error(`${spans.length} spans`);
  return spans;
}

const ofKind = (spans: readonly ReadableSpan[], kind: SpanKind): ReadableSpan[] =>
  spans.filter((span) => span.kind === kind);

/** All values of the fields of a name, in what the backend got. */
function values(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1] === name);
}

/** A backend that notes what it got of traces, and answers OK. */
async function noting(world: World, answer: OnRequest = ok) {
  const got: { parents: string[]; states: string[]; binary: string[]; baggage: string[] }[] = [];
  const backend = await world.http2Backend((request) => {
    const raw = request.rawHeaders;
    got.push({
      parents: values(raw, 'traceparent'),
      states: values(raw, 'tracestate'),
      binary: values(raw, 'grpc-trace-bin'),
      baggage: values(raw, 'baggage'),
    });
    return answer(request);
  });
  return { got, conn: world.dial(backend.port), backend };
}

behaviour(
  'one SERVER span per call, one CLIENT span per destination, by the conventions',
  async (t, world) => {
    const exporter = sdk(t);
    const [primary, secondary, shadow] = [await noting(world), await noting(world), await noting(world)];
    const { client, port } = await traced(world, () => ({
      primary: { conn: primary.conn },
      secondaries: [{ conn: secondary.conn }],
      shadows: [{ conn: shadow.conn }],
    }));
    const began = Date.now();
    await client.call(METHOD, MESSAGE, {
      traceparent: `00-${TRACE}-${PARENT}-01`,
      tracestate: 'vendor=value,other=1',
    });
    const spans = await spansOf(exporter, 4);
    const [server, ...noMore] = ofKind(spans, SpanKind.SERVER);
    const clients = ofKind(spans, SpanKind.CLIENT);
    t.strictSame([noMore.length, clients.length], [0, 3]);
    t.equal(server!.name, NAME);
    t.equal(server!.spanContext().traceId, TRACE);
    t.equal(server!.parentSpanContext?.spanId, PARENT);
    t.equal(server!.parentSpanContext?.isRemote, true);
    t.match(server!.attributes, {
      'rpc.system.name': 'grpc',
      'rpc.method': NAME,
      'rpc.status_code': 'OK',
      'server.address': '127.0.0.1',
      'server.port': port,
      'client.address': '127.0.0.1',
      'network.peer.address': '127.0.0.1',
    });
    t.notOk('error.type' in server!.attributes || 'rpc.method_original' in server!.attributes);
    t.equal(server!.status.code, SpanStatusCode.UNSET);
    const [start, end] = [server!.startTime, server!.endTime].map(([s, ns]) => s * 1000 + ns / 1e6);
    t.ok(start! >= began - 5 && end! >= start! && end! <= Date.now() + 5);
    const ports = [primary, secondary, shadow].map(({ backend }) => backend.port);
    t.strictSame(clients.map(({ attributes }) => attributes['server.port']).sort(), [...ports].sort());
    for (const each of clients) {
      t.equal(each.name, NAME);
      t.equal(each.spanContext().traceId, TRACE);
      t.equal(each.parentSpanContext?.spanId, server!.spanContext().spanId);
      t.match(each.attributes, {
        'rpc.system.name': 'grpc',
        'rpc.method': NAME,
        'rpc.status_code': 'OK',
        'server.address': '127.0.0.1',
      });
      const { got } = [primary, secondary, shadow].find(
        ({ backend }) => backend.port === each.attributes['server.port'],
      )!;
      t.strictSame(got, [
        {
          parents: [`00-${TRACE}-${each.spanContext().spanId}-01`],
          states: ['vendor=value,other=1'],
          binary: [],
          baggage: [],
        },
      ]);
    }
  },
);

behaviour('a call without a trace begins one; baggage goes on', async (t, world) => {
  const exporter = sdk(t);
  const { got, conn } = await noting(world);
  const { client } = await traced(world, () => ({ primary: { conn } }));
  await client.call(METHOD, MESSAGE, { baggage: 'tenant=acme', tracestate: 'of=nobody' });
  const spans = await spansOf(exporter, 2);
  const [server] = ofKind(spans, SpanKind.SERVER);
  const [to] = ofKind(spans, SpanKind.CLIENT);
  t.equal(server!.parentSpanContext, undefined);
  const { traceId, spanId } = to!.spanContext();
  t.equal(traceId, server!.spanContext().traceId);
  t.strictSame(got, [
    { parents: [`00-${traceId}-${spanId}-01`], states: [], binary: [], baggage: ['tenant=acme'] },
  ]);
});

behaviour('two traceparents are none, and exactly one is sent on, also on a retry', async (t, world) => {
  const exporter = sdk(t);
  let requests = 0;
  const { got, conn } = await noting(world, ({ stream }) => {
    if (++requests > 1) return respond(stream, MESSAGE);
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
      { endStream: true },
    );
  });
  const retry = {
    maxAttempts: 2,
    codes: [Code.UNAVAILABLE],
    initialBackoff: 1,
    maxBackoff: 1,
    multiplier: 1,
  };
  const { client } = await traced(world, () => ({ primary: { conn }, callOptions: { retry } }));
  const response = await client.call(METHOD, MESSAGE, {
    traceparent: [`00-${TRACE}-${PARENT}-01`, `00-${'a'.repeat(32)}-${PARENT}-01`],
  } as never);
  t.equal(status(response), '0');
  const spans = await spansOf(exporter, 2);
  const [to] = ofKind(spans, SpanKind.CLIENT);
  const { traceId, spanId } = to!.spanContext();
  t.notOk([TRACE, 'a'.repeat(32)].includes(traceId));
  t.strictSame(
    got.map(({ parents }) => parents),
    Array.from({ length: 2 }, () => [`00-${traceId}-${spanId}-01`]),
  );
});

behaviour('grpc-trace-bin is read when there is no other, and never contradicts', async (t, world) => {
  const exporter = sdk(t);
  const { got, conn } = await noting(world);
  const { client } = await traced(world, () => ({ primary: { conn } }));
  const binary = encodeSpanContext({ traceId: 'b'.repeat(32), spanId: 'c'.repeat(16), traceFlags: 1 });
  const text = binary.toString('base64').replace(/=+$/, '');
  const check = async (headers: Record<string, string>, traceId: string, parent: string) => {
    exporter.reset();
    await client.call(METHOD, MESSAGE, { 'grpc-trace-bin': text, ...headers });
    const spans = await spansOf(exporter, 2);
    const [server] = ofKind(spans, SpanKind.SERVER);
    const { spanId } = ofKind(spans, SpanKind.CLIENT)[0]!.spanContext();
    t.equal(server!.spanContext().traceId, traceId);
    t.equal(server!.parentSpanContext?.spanId, parent);
    const last = got.at(-1)!;
    t.strictSame(last.parents, [`00-${traceId}-${spanId}-01`]);
    t.equal(last.binary.length, 1);
    t.match(spanContextIn(['grpc-trace-bin', last.binary[0]!]), { traceId, spanId });
  };
  await check({}, 'b'.repeat(32), 'c'.repeat(16));
  await check({ traceparent: `00-${TRACE}-${PARENT}-01` }, TRACE, PARENT);
  await check({ traceparent: 'nonsense' }, 'b'.repeat(32), 'c'.repeat(16));
});

behaviour('failures: which are errors to whom, and of what type', async (t, world) => {
  const exporter = sdk(t);
  let code = 0;
  const { conn } = await noting(world, ({ stream }) =>
    respond(stream, MESSAGE, { 'grpc-status': String(code), 'grpc-message': 'x'.repeat(1000) }),
  );
  const { client } = await traced(world, () => ({ primary: { conn } }));
  const errors = new Set([2, 4, 12, 13, 14, 15]);
  for (code = 1; code <= 16; code++) {
    exporter.reset();
    await client.call(METHOD, MESSAGE);
    const spans = await spansOf(exporter, 2);
    const [server] = ofKind(spans, SpanKind.SERVER);
    const [to] = ofKind(spans, SpanKind.CLIENT);
    const word = Code[code]!;
    t.equal(server!.status.code, errors.has(code) ? SpanStatusCode.ERROR : SpanStatusCode.UNSET, word);
    t.equal(to!.status.code, SpanStatusCode.ERROR);
    t.ok(to!.status.message!.length <= 200);
    for (const { attributes } of spans) {
      t.match(attributes, { 'rpc.status_code': word, 'error.type': word });
    }
  }
});

behaviour('a method that nobody knows is _OTHER, and its name bounded', async (t, world) => {
  const exporter = sdk(t);
  const { conn } = await noting(world, ({ stream }) => respond(stream, MESSAGE, { 'grpc-status': '12' }));
  const { client } = await traced(world, () => ({ primary: { conn } }));
  for (const method of ['/made.Up/Name', '/nonsense', `/a.B/${'x'.repeat(5000)}`]) {
    exporter.reset();
    await client.call(method, MESSAGE);
    await eventually('it has ended', () => ofKind(exporter.getFinishedSpans(), SpanKind.SERVER).length === 1);
    for (const span of exporter.getFinishedSpans()) {
      t.equal(span.name, '_OTHER');
      t.match(span.attributes, {
        'rpc.method': '_OTHER',
        'rpc.method_original': method.slice(1, 201),
      });
    }
  }
});

behaviour('what the application does runs inside of the span', async (t, world) => {
  const exporter = sdk(t);
  const { conn } = await noting(world);
  const { client } = await traced(world, async () => {
    const tracer = trace.getTracer('test');
    await new Promise(setImmediate);
    tracer.startSpan('of the director').end();
    return { primary: { conn } };
  });
  await client.call(METHOD, MESSAGE);
  const spans = await spansOf(exporter, 3);
  const [server] = ofKind(spans, SpanKind.SERVER);
  const own = spans.find(({ name }) => name === 'of the director');
  t.equal(own!.parentSpanContext?.spanId, server!.spanContext().spanId);
});

behaviour('the span of a shadow that outlives its call ends when it does', async (t, world) => {
  const exporter = sdk(t);
  const answered = deferred<void>();
  const { conn } = await noting(world);
  const shadow = await noting(world, async ({ stream }) => {
    await answered.promise;
    respond(stream, MESSAGE);
  });
  const { client } = await traced(world, () => ({ primary: { conn }, shadows: [{ conn: shadow.conn }] }));
  await client.call(METHOD, MESSAGE);
  await spansOf(exporter, 2);
  answered.resolve();
  const spans = await spansOf(exporter, 3);
  const [server] = ofKind(spans, SpanKind.SERVER);
  t.equal(spans[2]!.parentSpanContext?.spanId, server!.spanContext().spanId);
  t.match(spans[2]!.attributes, { 'rpc.status_code': 'OK', 'server.port': shadow.backend.port });
});

behaviour('every span ends, whatever ends its call', async (t, world) => {
  const exporter = sdk(t);
  const started: string[] = [];
  const silent = await noting(world, ({ stream }) => void stream.resume());
  const fine = await noting(world);
  const nobody = world.dial(1);
  const hostile = Object.defineProperty({}, 'onMessage', {
    get() {
      throw new Error('of the application');
    },
  }) as ResponseObserver;
  const directors: Record<string, StreamDirector> = {
    throws: () => {
      throw new Error('of the director');
    },
    nobody: () => ({ primary: { conn: nobody }, shadows: [{ conn: nobody }] }),
    secondary: () => ({ primary: { conn: fine.conn }, secondaries: [{ conn: nobody }] }),
    deadline: () => ({ primary: { conn: silent.conn }, secondaries: [{ conn: silent.conn }] }),
    'hostile primary': () => ({ primary: { conn: fine.conn, observer: hostile } }),
    'hostile secondary': () => ({
      primary: { conn: fine.conn },
      secondaries: [{ conn: fine.conn }, { conn: fine.conn, observer: hostile }],
    }),
    'hostile shadow': () => ({
      primary: { conn: fine.conn },
      shadows: [{ conn: fine.conn, observer: hostile }],
    }),
  };
  new ProcessEvents(t);
  const provider = trace.getTracerProvider() as unknown as { getDelegateTracer(name: string): object };
  const tracer = provider.getDelegateTracer('grpc-frame-proxy') as { startSpan(...args: unknown[]): unknown };
  const { startSpan } = tracer;
  tracer.startSpan = function (...args) {
    started.push(String(args[0]));
    return startSpan.apply(this, args);
  };
  t.teardown(() => {
    tracer.startSpan = startSpan;
  });
  let which = '';
  const { client } = await traced(world, (...args) => directors[which]!(...args));
  for (which of Object.keys(directors)) {
    exporter.reset();
    started.length = 0;
    await client.call(METHOD, MESSAGE, which === 'deadline' ? { 'grpc-timeout': '50m' } : {});
    await eventually(`${which}: all end`, () => exporter.getFinishedSpans().length === started.length);
    t.ok(started.length > 0, which);
  }
  which = 'deadline';
  exporter.reset();
  started.length = 0;
  const stream = client.open(METHOD, {}, true);
  stream.write(MESSAGE);
  await eventually('it is there', () => started.length === 3);
  client.destroy();
  await eventually('all end', () => exporter.getFinishedSpans().length === 3);
});

behaviour('the span of a shadow that begins after its call is whole', async (t, world) => {
  const exporter = sdk(t);
  const { conn } = await noting(world);
  const mirror = await noting(world);
  const begin = deferred<void>();
  let asked = 0;
  const { client } = await traced(world, () => ({
    primary: { conn },
    shadows: [{ conn: mirror.conn }],
    callOptions: {
      credentials: async () => {
        if (++asked > 1) await begin.promise;
        return new Metadata();
      },
    },
  }));
  await client.call(METHOD, MESSAGE);
  await spansOf(exporter, 2);
  begin.resolve();
  const [shadow] = (await spansOf(exporter, 3)).slice(2);
  t.match(shadow!.attributes, { 'server.port': mirror.backend.port, 'rpc.status_code': 'OK' });
  t.equal(mirror.got.length, 1);
});

behaviour('what is not sampled is told to backends as such', async (t, world) => {
  const exporter = sdk(t, {
    shouldSample: () => ({ decision: SamplingDecision.NOT_RECORD }),
    toString: () => '',
  });
  const { got, conn } = await noting(world);
  const { client } = await traced(world, () => ({ primary: { conn } }));
  await client.call(METHOD, MESSAGE, { traceparent: `00-${TRACE}-${PARENT}-01` });
  t.equal(got[0]!.parents.length, 1);
  t.match(got[0]!.parents[0], new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  t.equal(exporter.getFinishedSpans().length, 0);
});

behaviour("without an SDK the client's trace metadata passes unchanged", async (t, world) => {
  const { got, conn } = await noting(world);
  const { client } = await traced(world, () => ({ primary: { conn } }));
  await client.call(METHOD, MESSAGE, {
    traceparent: [`00-${TRACE}-${PARENT}-01`, 'nonsense'],
    tracestate: 'a=b,,=',
    'grpc-trace-bin': 'AAAB',
  } as never);
  t.strictSame(got, [
    {
      parents: [`00-${TRACE}-${PARENT}-01`, 'nonsense'],
      states: ['a=b,,='],
      binary: ['AAAB'],
      baggage: [],
    },
  ]);
});

t.test('an SDK that is registered after the server is used from then on', async (t) => {
  let observer: Parameters<Parameters<typeof tracing>[0]['observe']>[0] | undefined;
  tracing({
    observe(given) {
      observer = given;
    },
  });
  t.equal(observer?.onCallStarted?.(runningCall(1)), undefined);
  const exporter = sdk(t);
  const call = runningCall(1, { method: METHOD });
  const watcher = observer?.onCallStarted?.(call);
  watcher?.onEnd?.(outcome());
  t.equal(exporter.getFinishedSpans().length, 1);
});

t.test('an error that cannot be read ends its span', async (t) => {
  const exporter = sdk(t);
  let observer: Parameters<Parameters<typeof tracing>[0]['observe']>[0] | undefined;
  tracing({
    observe(given) {
      observer = given;
    },
  });
  const error = new StatusError(Code.INTERNAL, '');
  Object.defineProperty(error, 'message', {
    get() {
      throw new Error('no');
    },
  });
  const watcher = observer?.onCallStarted?.(runningCall(1));
  t.throws(() => watcher?.onEnd?.(outcome({ failure: { error, reason: 'director' } })));
  t.equal(exporter.getFinishedSpans().length, 1);
});

t.test('grpc-trace-bin in all its forms', async (t) => {
  const span = { traceId: TRACE, spanId: PARENT, traceFlags: 1 };
  const bytes = encodeSpanContext(span);
  t.equal(bytes.toString('hex'), `0000${TRACE}01${PARENT}0201`, "as in OpenCensus's BinaryEncoding.md");
  const read = (value: Buffer | string, ...more: string[]) =>
    spanContextIn([
      'a',
      'b',
      'grpc-trace-bin',
      typeof value === 'string' ? value : value.toString('base64'),
      ...more,
    ]);
  t.strictSame(read(bytes), { ...span, isRemote: true });
  t.strictSame(read(bytes.toString('base64').replace(/=+$/, '')), { ...span, isRemote: true });
  t.match(read(bytes.subarray(0, 27)), { traceFlags: 0 }, 'without options');
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = value;
    return copy;
  };
  for (const wrong of [
    changed(0, 1),
    changed(1, 3),
    changed(18, 3),
    bytes.subarray(0, 26),
    Buffer.alloc(29),
    Buffer.alloc(0),
    Buffer.alloc(60_000),
    'not base64!',
    bytes.toString('base64').replace('A', ' '),
  ]) {
    t.equal(read(wrong), undefined);
  }
  t.equal(read(bytes, 'grpc-trace-bin', bytes.toString('base64')), undefined, 'two of them');
  t.equal(spanContextIn([]), undefined);
});

t.test('names of methods and targets', async (t) => {
  t.strictSame(methodNameOf('/a.B/C'), { name: 'a.B/C', original: 'a.B/C' });
  for (const [path, original] of [
    ['/nonsense', 'nonsense'],
    ['', ''],
    ['/', ''],
    ['//C', '/C'],
    ['/a.B/', 'a.B/'],
    ['a.B/C', 'a.B/C'],
    [`/a.B/${'x'.repeat(300)}`, `a.B/${'x'.repeat(196)}`],
  ] as const) {
    t.strictSame(methodNameOf(path), { name: '_OTHER', original });
  }
  const at = (address: string, port?: number) => ({
    'server.address': address,
    ...(port !== undefined && { 'server.port': port }),
  });
  t.strictSame(targetAttributes('127.0.0.1:1'), at('127.0.0.1', 1));
  t.strictSame(targetAttributes('dns:///files.svc:50051'), at('files.svc', 50051));
  t.strictSame(targetAttributes('https://files.svc'), at('files.svc', 443));
  t.strictSame(targetAttributes('ipv6:[::1]:5'), at('::1', 5));
  t.strictSame(targetAttributes('unix:/run/a.sock'), at('/run/a.sock'));
  t.strictSame(targetAttributes('ipv4:127.0.0.1:1,127.0.0.2:2'), at('ipv4:127.0.0.1:1,127.0.0.2:2'));
  t.strictSame(targetAttributes('a:1,b:2'), at('a:1,b:2'));
  t.strictSame(targetAttributes('the given HTTP/2 session'), at('the given HTTP/2 session'));
  for (let i = 0; i < 3000; i++) targetAttributes(`host-${i}:1`);
});
