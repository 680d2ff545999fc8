import http2, { type OutgoingHttpHeaders } from 'node:http2';
import { now } from '../../lib/call/clock.js';
import { parseTimeout } from '../../lib/grpc/timeout.js';
import {
  type CallContext,
  type CallOptions,
  Code,
  type DialOptions,
  Metadata,
  StatusError,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { REQUEST } from '../support/fields.js';
import { END, headers } from '../support/frame.js';
import { type Request, respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue, type Response } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';

interface Setup {
  readonly headers?: OutgoingHttpHeaders;
  readonly options?: CallOptions;
  readonly dial?: DialOptions;
  readonly context?: (ctx: CallContext) => CallContext;
}

/** What a backend and the client see of a call with these headers. */
async function seen(world: World, setup: Setup): Promise<{ request: Request; response: Response }> {
  let request!: Request;
  const backend = await world.http2Backend((incoming) => {
    request = incoming;
    respond(incoming.stream);
  });
  const conn = world.dial(backend.port, setup.dial);
  const proxy = await world.proxy((ctx) => ({
    primary: { conn, ctx: setup.context?.(ctx) },
    callOptions: setup.options,
  }));
  const response = await world.http2Client(proxy.port).call(METHOD, Buffer.alloc(0), setup.headers);
  return { request, response };
}

function values(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_text, index) => index % 2 === 1 && rawHeaders[index - 1] === name);
}

function names(rawHeaders: readonly string[]): string[] {
  return [...new Set(rawHeaders.filter((_text, index) => index % 2 === 0))];
}

behaviour('metadata goes on in order, repeats apart, values as they are', async (t, world) => {
  const headers = {
    'x-z': 'first',
    'x-a': ['1', '2', '1'],
    'odd-bin': ['AAE', 'AAE=', 'AA,BB', 'not base64!'],
    'x-empty': '',
    'grpc-previous-rpc-attempts': '2',
    'grpc-tags-bin': 'AAA',
    'x-m': 'last, "quoted" %41 ~',
  };
  const { request } = await seen(world, { headers });
  for (const [name, value] of Object.entries(headers)) {
    t.same(values(request.rawHeaders, name), [value].flat(), name);
  }
  const custom = names(request.rawHeaders).filter((name) => Object.hasOwn(headers, name));
  t.same(custom, Object.keys(headers));
});

behaviour("gRPC's own fields go on unchanged, and te always", async (t, world) => {
  const headers = {
    'content-type': 'application/grpc+proto;charset=odd',
    'grpc-encoding': 'snappy',
    'grpc-accept-encoding': 'gzip,zstd',
    'user-agent': 'grpc-c++/1.2 (odd; agent)',
    'grpc-message-type': 'test.Message',
  };
  const { request } = await seen(world, { headers });
  t.match(request.headers, headers);
  t.same(values(request.rawHeaders, 'te'), ['trailers']);
  t.equal(request.headers[':method'], 'POST');
  t.equal(request.headers[':path'], METHOD);
  t.equal(request.headers[':scheme'], 'http');
  t.notOk(names(request.rawHeaders).includes('grpc-timeout'));
});

behaviour('te: trailers is sent to the backend even if the client left it out', async (t, world) => {
  const { request } = await seen(world, { headers: { te: undefined } });
  t.same(values(request.rawHeaders, 'te'), ['trailers']);
});

behaviour('what belongs to the connection stays there', async (t, world) => {
  const { request } = await seen(world, { headers: { host: 'somewhere', 'content-length': '0' } });
  t.notOk(names(request.rawHeaders).includes('host'));
  t.notOk(names(request.rawHeaders).includes('content-length'));
});

behaviour('never-indexed fields stay never-indexed', async (t, world) => {
  const headers = {
    authorization: 'secret',
    'x-key': 'secret',
    [http2.sensitiveHeaders]: ['authorization', 'x-key'],
  };
  const { request } = await seen(world, { headers });
  const sensitive = (request.headers as { [http2.sensitiveHeaders]?: string[] })[http2.sensitiveHeaders];
  t.same(new Set(sensitive), new Set(['authorization', 'x-key']));
  t.equal(request.headers.authorization, 'secret');
});

behaviour('500 metadata fields go on, and come back as trailers', async (t, world) => {
  const fields = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x-field-${i}`, `value ${i}`]));
  let received: Request | undefined;
  const backend = await world.http2Backend(
    (request) => {
      received = request;
      respond(request.stream, undefined, { 'grpc-status': '0', ...fields }, fields);
    },
    { maxHeaderListPairs: 2000 },
  );
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const session = http2.connect(`http://127.0.0.1:${proxy.port}`, { maxHeaderListPairs: 2000 });
  t.teardown(() => session.destroy());
  const response = await callOn(session, { ...fields });
  t.match(received?.headers, fields);
  for (const name of Object.keys(fields)) {
    if (fieldValue(response.headers, name) !== fields[name]) t.fail(`header ${name}`);
    if (fieldValue(response.trailers, name) !== fields[name]) t.fail(`trailer ${name}`);
  }
});

behaviour('60 KiB of metadata go on', async (t, world) => {
  const large = 'abcdefgh'.repeat(60 * 128);
  let received: Request | undefined;
  const backend = await world.http2Backend((request) => {
    received = request;
    respond(request.stream, undefined, { 'grpc-status': '0', 'x-large': large });
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const session = http2.connect(`http://127.0.0.1:${proxy.port}`, { maxSendHeaderBlockLength: 1 << 20 });
  t.teardown(() => session.destroy());
  const response = await callOn(session, { 'x-large': large });
  t.ok(received?.headers['x-large'] === large);
  t.equal(fieldValue(response.trailers ?? response.headers, 'grpc-status'), '0');
  t.ok(fieldValue(response.trailers, 'x-large') === large);
});

behaviour('grpc-timeout is the time that remains', async (t, world) => {
  let director = 0;
  const timeouts: number[] = [];
  const backend = await world.http2Backend(({ stream, headers }) => {
    timeouts.push(parseTimeout(headers['grpc-timeout'] as string)!);
    respond(stream);
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(async () => {
    director = now();
    while (now() < director + 30) await new Promise(setImmediate);
    return { primary: { conn } };
  });
  const response = await world
    .http2Client(proxy.port)
    .call(METHOD, Buffer.alloc(0), { 'grpc-timeout': '20S' });
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  t.ok(timeouts[0]! <= 20_000 - 30, `${timeouts[0]} ms`);
  t.ok(timeouts[0]! > 10_000, `${timeouts[0]} ms`);
});

behaviour('each destination has its own metadata and deadline', async (t, world) => {
  const requests: Request[] = [];
  const ports: number[] = [];
  for (let i = 0; i < 3; i++) {
    const backend = await world.http2Backend((request) => {
      requests[i] = request;
      respond(request.stream);
    });
    ports.push(backend.port);
  }
  const [own, fewer, same] = ports.map((port) => world.dial(port));
  const proxy = await world.proxy((ctx) => ({
    primary: {
      conn: own!,
      ctx: ctx.withMetadata(new Metadata({ 'x-own': ['1', '2'], 'own-bin': Buffer.of(0) })),
    },
    secondaries: [{ conn: fewer!, ctx: ctx.withTimeout(5000) }, { conn: same! }],
  }));
  const headers = { 'x-client': 'yes', 'grpc-encoding': 'gzip', 'grpc-timeout': '1M' };
  const response = await world.http2Client(proxy.port).call(METHOD, Buffer.alloc(0), headers);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  t.same(values(requests[0]!.rawHeaders, 'x-own'), ['1', '2']);
  t.same(values(requests[0]!.rawHeaders, 'own-bin'), ['AA']);
  t.equal(requests[0]!.headers['x-client'], undefined);
  t.equal(requests[0]!.headers['grpc-encoding'], 'gzip');
  t.equal(requests[0]!.headers['content-type'], 'application/grpc');
  t.equal(requests[1]!.headers['x-client'], 'yes');
  t.equal(requests[2]!.headers['x-client'], 'yes');
  t.equal(requests[2]!.headers['x-own'], undefined);
  const left = requests.map((request) => parseTimeout(request.headers['grpc-timeout'] as string)!);
  t.ok(left[0]! > 5000 && left[2]! > 5000 && left[1]! <= 5000, left.join());
});

behaviour(":authority is the destination's own by default", async (t, world) => {
  const { request } = await seen(world, { headers: { ':authority': 'client.example' } });
  t.match(request.headers[':authority'], /^127\.0\.0\.1:\d+$/);
});

behaviour(':authority is the one that dial() was given', async (t, world) => {
  const { request } = await seen(world, { dial: { authority: 'dialled.example' } });
  t.equal(request.headers[':authority'], 'dialled.example');
});

behaviour("preserveAuthority sends the client's :authority", async (t, world) => {
  const { request } = await seen(world, {
    headers: { ':authority': 'client.example' },
    options: { preserveAuthority: true },
  });
  t.equal(request.headers[':authority'], 'client.example');
});

behaviour("preserveAuthority sends the client's Host where it has no :authority", async (t, world) => {
  const backend = await world.http2Backend(({ stream, headers }) => {
    asked.push(headers[':authority']);
    respond(stream);
  });
  const asked: (string | undefined)[] = [];
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn }, callOptions: { preserveAuthority: true } }));
  const client = await world.frameClient(proxy.port);
  const fields = REQUEST.flatMap((text, i) =>
    i % 2 === 1 ? [] : text === ':authority' ? [] : [text, REQUEST[i + 1]!],
  );
  client.send(headers(1, [...fields, 'host', 'host.example'], END));
  await client.until(() => client.hasEnded(1));
  t.strictSame(asked, ['host.example']);
});

behaviour('the call option authority goes before preserveAuthority', async (t, world) => {
  const { request } = await seen(world, {
    headers: { ':authority': 'client.example' },
    options: { preserveAuthority: true, authority: 'option.example' },
  });
  t.equal(request.headers[':authority'], 'option.example');
});

behaviour('credentials are added to the metadata', async (t, world) => {
  const { request } = await seen(world, {
    headers: { 'x-client': 'yes' },
    options: {
      credentials: async (ctx) =>
        new Metadata().append('authorization', `token for ${ctx.method}`, { neverIndexed: true }),
    },
  });
  t.equal(request.headers.authorization, `token for ${METHOD}`);
  t.equal(request.headers['x-client'], 'yes');
  t.same((request.headers as { [http2.sensitiveHeaders]?: string[] })[http2.sensitiveHeaders], [
    'authorization',
  ]);
});

behaviour('credentials that throw fail the call, and no backend is contacted', async (t, world) => {
  const { request, response } = await seen(world, {
    options: {
      credentials: () => {
        throw new StatusError(Code.UNAUTHENTICATED, 'no token');
      },
    },
  });
  t.equal(request, undefined);
  t.equal(fieldValue(response.headers, 'grpc-status'), '16');
  t.equal(fieldValue(response.headers, 'grpc-message'), 'no token');
});

async function callOn(session: http2.ClientHttp2Session, headers: OutgoingHttpHeaders): Promise<Response> {
  const stream = session.request(
    { ':method': 'POST', ':path': METHOD, 'content-type': 'application/grpc', te: 'trailers', ...headers },
    { endStream: true },
  );
  stream.on('error', () => {});
  return collectResponse(stream);
}
