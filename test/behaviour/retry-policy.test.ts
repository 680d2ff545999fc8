import type { ServerHttp2Stream } from 'node:http2';
import {
  type CallOutcome,
  Code,
  type DialOptions,
  encodeMessage,
  Metadata,
  type RetryPolicy,
} from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import { dataOf, END, ErrorCode, FrameType, headers, settings } from '../support/frame.js';
import { type OnRequest, type Request, respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { within } from '../support/within.js';

const POLICY: RetryPolicy = {
  maxAttempts: 3,
  codes: [Code.UNAVAILABLE],
  initialBackoff: 1,
  maxBackoff: 2,
  multiplier: 2,
};
const ATTEMPTS = 'grpc-previous-rpc-attempts';

/** Answers by Trailers-Only, at once. */
function fail(stream: ServerHttp2Stream, code = Code.UNAVAILABLE, fields = {}): void {
  const trailers = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': `${code}`,
    ...fields,
  };
  stream.respond(trailers, { endStream: true });
}

/** A proxy to a backend whose answers to a call's attempts are these, in turn; the last one goes on. */
async function proxied(
  world: World,
  answers: readonly OnRequest[],
  retry: RetryPolicy | undefined = POLICY,
  options: DialOptions = {},
) {
  const requests: Request[] = [];
  const outcomes: CallOutcome[] = [];
  const backend = await world.http2Backend((request) => {
    requests.push(request);
    answers[Math.min(requests.length, answers.length) - 1]!(request);
  });
  const conn = world.dial(backend.port, options);
  const proxy = await world.proxy(() => ({ primary: { conn }, callOptions: { retry } }), {
    observer: { onCall: (outcome) => void outcomes.push(outcome) },
  });
  return { client: world.http2Client(proxy.port), requests, outcomes, conn, backend, proxy };
}

const failing: OnRequest = ({ stream }) => fail(stream);
const answering: OnRequest = async ({ stream, body }) => {
  await body();
  respond(stream, MESSAGE);
};

behaviour('a call is tried again by its policy, with the same bytes, and counted', async (t, world) => {
  const bodies: Buffer[] = [];
  const whole: OnRequest = async ({ stream, body }) => {
    bodies.push((await body()).data);
    if (bodies.length < 3) fail(stream);
    else respond(stream, MESSAGE);
  };
  const { client, requests, outcomes } = await proxied(world, [whole]);
  const body = Buffer.concat([encodeMessage(Buffer.alloc(50_000, 'x')), MESSAGE]);
  const response = await client.call(METHOD, body, { [ATTEMPTS]: '7', 'x-own': 'a' });
  t.equal(status(response), '0');
  t.same(response.data, MESSAGE);
  t.strictSame(
    requests.map(({ rawHeaders }) => rawHeaders.filter((_, i) => rawHeaders[i - 1] === ATTEMPTS)),
    [[], ['1'], ['2']],
    "a client's own count is not sent",
  );
  t.ok(requests.every(({ headers }) => headers['x-own'] === 'a'));
  t.ok(bodies.every((each) => each.equals(body)));
  await eventually('the outcome', () => outcomes.length === 1);
  t.match(outcomes[0]!.destinations, [{ attempts: 3, failure: undefined }]);
});

behaviour(
  'grpc-previous-rpc-attempts on the wire; a context and credentials do not change it',
  async (t, world) => {
    const counts: (string | undefined)[] = [];
    const backend = await world.frameBackend(async (connection) => {
      connection.send(settings());
      for (const id of [1, 3]) {
        const fields = await connection.nextHeaders(id);
        counts.push(fields.filter((_, i) => fields[i - 1] === ATTEMPTS).join());
        connection.send(
          headers(id, id === 1 ? [...RESPONSE, 'grpc-status', '14'] : [...RESPONSE, ...TRAILERS], END),
        );
      }
    });
    const conn = world.dial(backend.port);
    const count = (value: string): Metadata => new Metadata({ [ATTEMPTS]: value });
    const proxy = await world.proxy((ctx) => ({
      primary: { conn, ctx: ctx.withMetadata(count('8')) },
      callOptions: { retry: POLICY, credentials: () => count('9') },
    }));
    const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE, { [ATTEMPTS]: '7' });
    t.equal(status(response), '0');
    t.strictSame(counts, ['', '1']);
  },
);

behaviour('without a policy nothing is tried again, and the field passes', async (t, world) => {
  const backend: Request[] = [];
  const { port } = await world.http2Backend((request) => {
    backend.push(request);
    fail(request.stream);
  });
  const conn = world.dial(port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE, { [ATTEMPTS]: '7' });
  t.equal(status(response), '14');
  t.strictSame(
    backend.map(({ headers }) => headers[ATTEMPTS]),
    ['7'],
  );
});

behaviour('the last attempt is the answer, as it came', async (t, world) => {
  const { client, requests } = await proxied(
    world,
    ['first', 'second', 'third'].map((text) => ({ stream }: Request) => {
      fail(stream, Code.UNAVAILABLE, { 'grpc-message': text, 'x-from': text, 'grpc-retry-pushback-ms': '1' });
    }),
  );
  const response = await client.call(METHOD, MESSAGE);
  t.equal(requests.length, 3);
  t.equal(message(response), 'third');
  t.equal(fieldValue(response.headers, 'x-from'), 'third');
  t.equal(fieldValue(response.headers, 'grpc-retry-pushback-ms'), '1');
  t.ok(response.trailersOnly);
});

behaviour(
  'what may be tried again: resets, lost connections, HTTP errors, statuses that are listed',
  async (t, world) => {
    const ways: Readonly<Record<string, readonly [OnRequest, Code]>> = {
      reset: [({ stream }) => stream.close(ErrorCode.INTERNAL_ERROR), Code.INTERNAL],
      lost: [({ stream }) => stream.session!.destroy(), Code.UNAVAILABLE],
      http: [
        ({ stream }) => stream.respond({ ':status': 503, 'content-type': 'text/html' }),
        Code.UNAVAILABLE,
      ],
      'no status': [
        ({ stream }) => stream.respond({ ':status': 429 }, { endStream: true }),
        Code.UNAVAILABLE,
      ],
      aborted: [({ stream }) => fail(stream, Code.ABORTED), Code.ABORTED],
    };
    for (const [way, [answer, code]] of Object.entries(ways)) {
      for (const [codes, attempts] of [
        [[code], 2],
        [[Code.DATA_LOSS], 1],
      ] as const) {
        const { client, requests } = await proxied(world, [answer, answering], { ...POLICY, codes });
        const response = await client.call(METHOD, MESSAGE);
        t.equal(requests.length, attempts, way);
        t.equal(status(response), attempts === 2 ? '0' : String(code), way);
      }
    }
  },
);

behaviour('a response that has begun is never asked for again', async (t, world) => {
  const begin = (stream: ServerHttp2Stream): void =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  const ends: readonly ((stream: ServerHttp2Stream) => void)[] = [
    (stream) => {
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
      stream.end();
    },
    (stream) => setImmediate(() => stream.close(ErrorCode.REFUSED_STREAM)),
    (stream) => setImmediate(() => stream.session?.destroy()),
  ];
  for (const end of ends) {
    const { client, requests } = await proxied(world, [
      ({ stream }) => {
        begin(stream);
        end(stream);
      },
    ]);
    t.equal(status(await client.call(METHOD, MESSAGE)), '14');
    t.equal(requests.length, 1);
  }
});

behaviour(
  'a stream that is refused again and again: once by itself, and then by the policy',
  async (t, world) => {
    const { client, requests } = await proxied(world, [
      ({ stream }) => stream.close(ErrorCode.REFUSED_STREAM),
    ]);
    t.equal(status(await client.call(METHOD, MESSAGE)), '14');
    t.strictSame(
      requests.map(({ headers }) => headers[ATTEMPTS]),
      [undefined, undefined, '1', '2'],
    );
  },
);

behaviour('a backend says when to try again, or not to', async (t, world) => {
  const slow = { ...POLICY, initialBackoff: 60_000, maxBackoff: 60_000 };
  for (const [pushback, attempts] of [
    ['5', 2],
    ['0', 2],
    ['-1', 1],
    ['soon', 1],
  ] as const) {
    const pushing: OnRequest = ({ stream }) =>
      fail(stream, Code.UNAVAILABLE, { 'grpc-retry-pushback-ms': pushback });
    const { client, requests } = await proxied(
      world,
      [pushing, answering],
      pushback === '-1' ? POLICY : slow,
    );
    const response = await within(2000, pushback, client.call(METHOD, MESSAGE));
    t.equal(requests.length, attempts, pushback);
    t.equal(status(response), attempts === 2 ? '0' : '14');
  }
});

behaviour(
  'a backend that fails most calls is spared: retries of all calls are counted together',
  async (t, world) => {
    let answer = failing;
    const options = { retryThrottling: { maxTokens: 4, tokenRatio: 1 } };
    const { client, requests } = await proxied(world, [(request) => answer(request)], POLICY, options);
    const attempts = async (): Promise<number> => {
      const before = requests.length;
      await client.call(METHOD, MESSAGE);
      return requests.length - before;
    };
    t.strictSame([await attempts(), await attempts()], [2, 1]);
    answer = answering;
    t.strictSame([await attempts(), await attempts(), await attempts()], [1, 1, 1]);
    answer = failing;
    t.equal(await attempts(), 2, 'successes give back');
  },
);

behaviour('a call is committed when more than 64 KiB of it have been sent', async (t, world) => {
  for (const [bytes, attempts] of [
    [64 * 1024, 2],
    [64 * 1024 + 1, 1],
  ] as const) {
    const reading: OnRequest = async ({ stream, body }) => {
      await body();
      fail(stream);
    };
    const { client, requests } = await proxied(world, [reading, answering]);
    const response = await client.call(METHOD, encodeMessage(Buffer.alloc(bytes - 5)));
    t.equal(requests.length, attempts, `${bytes}`);
    t.equal(status(response), attempts === 2 ? '0' : '14');
  }
  t.equal(heldBytes(), 0);
});

behaviour(
  'an upload goes on where a call backs off: nothing is lost, and little is held',
  async (t, world) => {
    const upload = encodeMessage(Buffer.alloc(3_000_000, 'abcdefg'));
    const failed = deferred();
    const whole = deferred<Buffer>();
    const { client, requests } = await proxied(world, [
      ({ stream }) => {
        fail(stream, Code.UNAVAILABLE, { 'grpc-retry-pushback-ms': '200' });
        stream.resume();
        failed.resolve();
      },
      async ({ stream, body }) => {
        whole.resolve((await body()).data);
        respond(stream, MESSAGE);
      },
    ]);
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    stream.write(upload.subarray(0, 1000));
    await failed.promise;
    stream.end(upload.subarray(1000));
    let most = 0;
    while (requests.length < 2) {
      most = Math.max(most, heldBytes());
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.ok(most < 512 * 1024, `${most} bytes were held`);
    t.ok((await whole.promise).equals(upload));
    t.equal(status(await response), '0');
    t.equal(heldBytes(), 0);
  },
);

behaviour('a client that cancels, or whose deadline passes, while its call backs off', async (t, world) => {
  const failed = [deferred(), deferred()];
  const pushing: OnRequest = ({ stream }) => {
    fail(stream, Code.UNAVAILABLE, { 'grpc-retry-pushback-ms': '60000' });
    stream.once('close', () => failed[requests.length - 1]!.resolve());
    stream.resume();
  };
  const { client, requests, outcomes } = await proxied(world, [pushing]);
  const stream = client.open(METHOD, {}, true);
  const response = collectResponse(stream);
  stream.write(encodeMessage(Buffer.alloc(5000)));
  await failed[0]!.promise;
  stream.close(ErrorCode.CANCEL);
  await response;
  await eventually('the outcome', () => outcomes.length === 1);
  t.match(outcomes[0], { failure: { reason: 'client_cancelled' }, destinations: [{ attempts: 1 }] });
  const late = await within(2000, 'the deadline', client.call(METHOD, MESSAGE, { 'grpc-timeout': '100m' }));
  t.equal(status(late), String(Code.DEADLINE_EXCEEDED));
  await eventually('the outcome', () => outcomes.length === 2);
  t.match(outcomes[1], { failure: { reason: 'deadline' } });
  t.equal(requests.length, 2);
  t.equal(heldBytes(), 0);
});

behaviour('secondaries are not tried again', async (t, world) => {
  const requests: Request[] = [];
  const failingBackend = await world.http2Backend((request) => {
    requests.push(request);
    fail(request.stream);
  });
  const ok = await world.http2Backend(answering);
  const [primary, secondary] = [world.dial(ok.port), world.dial(failingBackend.port)];
  const proxy = await world.proxy(() => ({
    primary: { conn: primary },
    secondaries: [{ conn: secondary, errHandler: () => null }],
    callOptions: { retry: POLICY },
  }));
  t.equal(status(await world.http2Client(proxy.port).call(METHOD, MESSAGE)), '0');
  t.equal(requests.length, 1);
});

behaviour(
  'a replaced first message is sent again with each attempt; secondaries get each byte once',
  async (t, world) => {
    const bodies: Buffer[] = [];
    const other: Buffer[] = [];
    const failingOnce = await world.http2Backend(async ({ stream, body }) => {
      bodies.push((await body()).data);
      if (bodies.length === 1) fail(stream);
      else respond(stream, MESSAGE);
    });
    const secondaryBackend = await world.http2Backend(async ({ stream, body }) => {
      other.push((await body()).data);
      respond(stream);
    });
    const [primary, secondary] = [world.dial(failingOnce.port), world.dial(secondaryBackend.port)];
    const msg = Buffer.from('instead');
    const proxy = await world.proxy(() => ({
      primary: { conn: primary, msg },
      secondaries: [{ conn: secondary }],
      callOptions: { retry: POLICY },
    }));
    const body = Buffer.concat([MESSAGE, encodeMessage(Buffer.from('second'))]);
    t.equal(status(await world.http2Client(proxy.port).call(METHOD, body)), '0');
    const expected = Buffer.concat([encodeMessage(msg), encodeMessage(Buffer.from('second'))]);
    t.strictSame(bodies, [expected, expected]);
    t.strictSame(other, [body]);
  },
);

behaviour(
  'a backend that is cut off in the middle of a request gets it anew, half-close and all',
  async (t, world) => {
    const got: Buffer[] = [];
    const backend = await world.frameBackend(async (connection) => {
      connection.send(settings());
      await connection.until(() => dataOf(connection.of(1, FrameType.DATA)).length >= MESSAGE.length);
      if (backend.connections.length === 1) {
        connection.socket.destroy();
        return;
      }
      await connection.until(() => connection.hasEnded(1));
      got.push(dataOf(connection.of(1, FrameType.DATA)));
      connection.send(headers(1, RESPONSE), headers(1, TRAILERS, END));
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({ primary: { conn }, callOptions: { retry: POLICY } }));
    const stream = world.http2Client(proxy.port).open(METHOD);
    const response = collectResponse(stream);
    stream.write(MESSAGE);
    await backend.accept();
    const second = await backend.accept();
    await second.first(1, FrameType.HEADERS);
    stream.end(MESSAGE);
    t.equal(status(await response), '0');
    t.strictSame(got, [Buffer.concat([MESSAGE, MESSAGE])]);
  },
);

behaviour('a policy that is nonsense fails the call, and says which part of it', async (t, world) => {
  const { client } = await proxied(world, [answering], { ...POLICY, codes: [] });
  const response = await client.call(METHOD, MESSAGE);
  t.equal(status(response), String(Code.UNKNOWN));
  t.match(message(response), /^callOptions\.retry\.codes must be/);
});

for (const how of ['close', 'destroy'] as const) {
  behaviour(`a call that backs off ends with its connections: ${how}()`, async (t, world) => {
    const later: OnRequest = ({ stream }) => {
      fail(stream, Code.UNAVAILABLE, { 'grpc-retry-pushback-ms': '60000' });
    };
    const { client, outcomes, conn, requests } = await proxied(world, [later]);
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    await eventually('the attempt', () => requests.length === 1 && conn.addresses[0]?.calls === 0);
    void conn[how]();
    t.equal(status(await within(2000, 'the end of the call', response)), '14');
    t.equal(requests.length, 1);
    t.equal(outcomes[0]?.destinations[0]?.attempts, 1);
  });
}
