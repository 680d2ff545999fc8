import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClientHttp2Stream } from 'node:http2';
import http2 from 'node:http2';
import { Code, type Destination, type SecondaryQuorum, type StatusError } from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { shadowBytes } from '../../lib/proxy/shadow-bytes.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE } from '../support/fields.js';
import {
  dataOf,
  END,
  ErrorCode,
  FrameType,
  headers,
  resetStream,
  settings,
  windowUpdate,
} from '../support/frame.js';
import { untyped } from '../support/hostile-values.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { collectResponse, type Response } from '../support/http2-client.js';
import {
  answer,
  answerOn,
  messageOf,
  rawQuorum,
  rawShadow,
  requestOn,
  shadowed,
  wasCancelled,
} from '../support/shadowed.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { within } from '../support/within.js';

const { NGHTTP2_CANCEL } = http2.constants;
const KIB = 1024;
const MIB = 1024 * KIB;
const CHUNK = 64 * KIB;

const failing: OnRequest = async ({ stream, body }) => {
  await body();
  respond(stream, undefined, { 'grpc-status': '9', 'grpc-message': 'not now' });
};

const silent: OnRequest = ({ stream }) => void stream.resume();

/** A proxy to a primary and a quorum of backends that do so. */
async function quorumOf(world: World, need: number, onRequests: readonly OnRequest[], primary?: OnRequest) {
  const members: Destination[] = [];
  for (const onRequest of onRequests) {
    const backend = await world.http2Backend(onRequest, { settings: { initialWindowSize: 2 ** 24 } });
    members.push({ conn: world.dial(backend.port) });
  }
  return { members, ...(await shadowed(world, { secondaries: { of: members, need } }, { primary })) };
}

async function upload(stream: ClientHttp2Stream, body: Buffer): Promise<void> {
  for (let start = 0; start < body.length; start += CHUNK) {
    await new Promise<void>((resolve) => stream.write(body.subarray(start, start + CHUNK), () => resolve()));
  }
}

/** Whether a promise has settled after all that is on its way has been delivered. */
async function isPending(
  promise: Promise<unknown>,
  ...peers: readonly { roundTrip(): Promise<void> }[]
): Promise<boolean> {
  let pending = true;
  void promise.then(() => {
    pending = false;
  });
  for (let i = 0; i < 3; i++) {
    for (const peer of peers) await peer.roundTrip();
    await new Promise(setImmediate);
  }
  return pending;
}

behaviour('a call succeeds with as many secondaries as it needs', async (t, world) => {
  for (const [need, onRequests, code] of [
    [1, [answer, failing, failing], '0'],
    [2, [failing, answer, answer], '0'],
    [2, [failing, answer, failing], '13'],
    [3, [answer, answer, answer], '0'],
    [3, [answer, answer, failing], '13'],
  ] as const) {
    const { client, calls } = await quorumOf(world, need, onRequests);
    const response = await client.call(METHOD, MESSAGE);
    t.equal(status(response), code, `${need} of ${onRequests.length}`);
    if (code === '0') t.ok(response.data.equals(MESSAGE));
    t.equal(calls[0]!.destinations.length, 4);
    t.same(
      calls[0]!.destinations.map(({ role }) => role),
      ['primary', 'secondary', 'secondary', 'secondary'],
    );
  }
});

behaviour('the status says which secondaries have failed, and why', async (t, world) => {
  const { client, members, calls } = await quorumOf(world, 2, [failing, answer, failing]);
  const response = await client.call(METHOD, MESSAGE);
  const [first, , third] = members.map(({ conn }) => ('target' in conn ? conn.target : ''));
  t.equal(message(response), `failed proxying to secondary: ${first}: not now; ${third}: not now`);
  t.match(calls, [{ failure: { reason: 'secondary' } }]);
});

behaviour('the reasons of a quorum’s failure are bounded', async (t, world) => {
  const verbose: OnRequest = ({ stream }) =>
    respond(stream, undefined, { 'grpc-status': '9', 'grpc-message': 'x'.repeat(5000) });
  const { client } = await quorumOf(world, 20, Array<OnRequest>(20).fill(verbose));
  const response = await client.call(METHOD, MESSAGE);
  t.equal(status(response), '13');
  t.ok(message(response)!.length < 2100, `${message(response)!.length} characters`);
});

behaviour('what an error handler of a quorum swallows by null is a success', async (t, world) => {
  const { members } = await quorumOf(world, 1, [failing, failing, answer]);
  const told: StatusError[] = [];
  const errHandler = (error: StatusError): null => {
    told.push(error);
    return null;
  };
  const of = [{ ...members[0]!, errHandler }, members[1]!, members[2]!];
  const { client } = await shadowed(world, { secondaries: { of, need: 2 } });
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  t.match(told, [{ code: Code.FAILED_PRECONDITION }]);
  const another = await shadowed(world, {
    secondaries: { of: [{ ...members[0]!, errHandler: () => new Error('mine') }, members[1]!], need: 1 },
  });
  const response = await another.client.call(METHOD, MESSAGE);
  t.match(message(response), /: mine; .*: not now$/);
});

behaviour('a quorum that makes no sense is the director’s failure', async (t, world) => {
  const backend = await world.http2Backend(answer);
  const destination = { conn: world.dial(backend.port) };
  const of = [destination, destination];
  let secondaries: unknown;
  const { client } = await shadowed(world, () => ({ secondaries: untyped<SecondaryQuorum>(secondaries) }));
  for (const [nonsense, text] of [
    [{ of, need: 0 }, /need must be an integer from 1 to 2, not 0/],
    [{ of, need: 3 }, /need must be an integer from 1 to 2, not 3/],
    [{ of, need: 1.5 }, /need must be an integer from 1 to 2, not 1.5/],
    [{ of, need: Number.NaN }, /need must be an integer from 1 to 2, not NaN/],
    [{ of, need: '1' }, /need must be a number, not string/],
    [{ of }, /need must be a number, not undefined/],
    [{ of: [], need: 1 }, /need must be an integer from 1 to 0, not 1/],
    [{ of: 7, need: 1 }, /of must be an array/],
    [{ of: [{}], need: 1 }, /a destination needs a conn/],
    [{ need: 1 }, /secondaries must be an array of destinations, or { of, need }, not object/],
  ] as const) {
    secondaries = nonsense;
    const response = await client.call(METHOD, MESSAGE);
    t.equal(status(response), '2');
    t.match(message(response), text);
  }
});

behaviour(
  'the call ends once enough have succeeded and the primary has; the rest may answer',
  async (t, world) => {
    const { raws, client, calls, shadows, results } = await rawQuorum(world, 2, [2 ** 24, 2 ** 24, 1000]);
    const body = messageOf(100 * KIB);
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    stream.end(body);
    const [first, second, third] = await Promise.all(raws.map(({ backend }) => backend.accept()));
    await requestOn(first!);
    answerOn(first!);
    await requestOn(second!);
    t.ok(await isPending(response, first!, second!));
    answerOn(second!);
    t.equal(status(await response), '0');
    t.match(calls, [{ destinations: [{}, {}, {}, { isRunning: true, failure: undefined }] }]);
    t.equal(shadows.length, 0);
    third!.send(windowUpdate(1, body.length));
    t.ok((await requestOn(third!)).equals(body));
    answerOn(third!);
    t.same(await results(), ['ok']);
    t.match(shadows, [{ role: 'secondary', failure: undefined }]);
    await eventually('nothing is held', () => shadowBytes() === 0 && heldBytes() === 0);
  },
);

behaviour('the rest of a quorum: its failure after the call is told its error handler', async (t, world) => {
  const { raws, client, shadows, results } = await rawQuorum(world, 1, [2 ** 24, 2 ** 24]);
  const call = client.call(METHOD, messageOf(20_000));
  const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  await requestOn(first!);
  await requestOn(second!);
  answerOn(second!);
  t.equal(status(await call), '0');
  await eventually(
    'the copy for a retry is not the client’s',
    () => heldBytes() === 0 && shadowBytes() >= 20_000,
  );
  first!.send(resetStream(1, ErrorCode.INTERNAL_ERROR));
  t.same(await results(), ['error']);
  t.match(raws[0]!.told, [{ code: Code.INTERNAL }]);
  t.match(shadows, [{ failure: { reason: 'backend_reset' } }]);
});

behaviour('the observer hears of the rest of a quorum in the scope of its call', async (t, world) => {
  const scope = new AsyncLocalStorage<string>();
  const { backend, shadow } = await rawShadow(world);
  const { port: answers } = await world.http2Backend(answer);
  const conn = world.dial(answers);
  const heard: (string | undefined)[] = [];
  const { port } = await world.proxy(
    () => ({ primary: { conn }, secondaries: { of: [{ conn }, { conn: shadow.conn }], need: 1 } }),
    {
      observer: { onShadow: () => void heard.push(scope.getStore()) },
      interceptors: [(stream, next) => scope.run(stream.method, next)],
    },
  );
  const client = world.http2Client(port);
  for (const method of ['/test.Service/First', '/test.Service/Second']) {
    t.equal(status(await client.call(method, MESSAGE)), '0');
  }
  const connection = await backend.accept();
  for (const id of [3, 1]) {
    await requestOn(connection, id);
    answerOn(connection, id);
    await eventually('it has ended', () => heard.length === (id === 3 ? 1 : 2));
  }
  t.same(heard, ['/test.Service/Second', '/test.Service/First']);
});

behaviour('the rest of a quorum is cut by the end of the server', async (t, world) => {
  const { raws, client, server, results } = await rawQuorum(world, 1, [2 ** 24, 2 ** 24]);
  const call = client.call(METHOD, MESSAGE);
  const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  await requestOn(first!);
  await requestOn(second!);
  answerOn(second!);
  t.equal(status(await call), '0');
  const closed = server.close({ timeoutMilliseconds: 100 });
  t.equal(await first!.resetCode(1), ErrorCode.CANCEL);
  t.same(await results(), ['cancelled']);
  await within(3000, 'close()', closed);
});

behaviour(
  'once a quorum is impossible, the call waits for the primary alone, and its error',
  async (t, world) => {
    for (const [grpcStatus, code] of [
      ['0', '13'],
      ['5', '5'],
    ] as const) {
      const go = deferred();
      const { members } = await quorumOf(world, 1, [failing, silent, failing]);
      let failed = 0;
      const errHandler = (): undefined => void failed++;
      const { client } = await shadowed(
        world,
        { secondaries: { of: members.map((member) => ({ ...member, errHandler })), need: 2 } },
        {
          primary: async ({ stream, body }) => {
            await body();
            await go.promise;
            respond(stream, MESSAGE, { 'grpc-status': grpcStatus });
          },
        },
      );
      const call = client.call(METHOD, MESSAGE);
      await eventually('two have failed', () => failed === 2);
      t.ok(await isPending(call, client));
      go.resolve();
      t.equal(status(await within(3000, 'the call', call)), code);
    }
  },
);

behaviour('a client that cancels, or a primary that fails, cancels all of a quorum', async (t, world) => {
  const go = deferred();
  const fails: OnRequest = async ({ stream }) => {
    await go.promise;
    respond(stream, undefined, { 'grpc-status': '5' });
  };
  for (const primary of [silent, fails]) {
    const { raws, client, shadows } = await rawQuorum(world, 1, [2 ** 24, 2 ** 24], primary);
    const stream = client.open(METHOD, {}, true);
    const response = collectResponse(stream);
    stream.on('wantTrailers', () => stream.sendTrailers({}));
    stream.end(MESSAGE);
    const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
    await requestOn(first!);
    answerOn(first!);
    await requestOn(second!);
    if (primary === silent) stream.close(NGHTTP2_CANCEL);
    else go.resolve();
    t.equal(await second!.resetCode(1), ErrorCode.CANCEL);
    await response;
    t.same(shadows, []);
  }
});

behaviour('a request that is not complete never ends for the rest of a quorum', async (t, world) => {
  const go = deferred();
  const { raws, client } = await rawQuorum(world, 1, [2 ** 24, 2 ** 24], async ({ stream }) => {
    await go.promise;
    respond(stream, MESSAGE);
  });
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  stream.write(MESSAGE);
  const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  for (const connection of [first!, second!]) await connection.first(1, FrameType.DATA);
  answerOn(first!);
  go.resolve();
  t.equal(status(await response), '0');
  t.ok(await wasCancelled(second!));
});

behaviour('a member that stands still holds nobody back, and is given up at 1 MiB', async (t, world) => {
  const { raws, client, calls } = await rawQuorum(world, 1, [2 ** 30, 0], answer);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  await within(15_000, 'the upload', upload(stream, messageOf(8 * MIB)));
  stream.end();
  const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  t.ok(await wasCancelled(second!));
  t.equal(second!.of(1, FrameType.DATA).length, 0);
  t.match(raws[1]!.told, [
    {
      code: Code.RESOURCE_EXHAUSTED,
      message: / lags: \d+ bytes wait for it, and \d+ are held for all like it$/,
    },
  ]);
  await requestOn(first!);
  answerOn(first!);
  t.equal(status(await response), '0');
  t.match(calls[0]!.destinations[2], { failure: { reason: 'limit' } });
  await eventually('nothing is held', () => shadowBytes() === 0 && heldBytes() === 0);
});

behaviour('a member that the quorum needs holds the client back, within bounds', async (t, world) => {
  const { raws, client } = await rawQuorum(world, 2, [2 ** 30, 0, 0]);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  const body = messageOf(4 * MIB);
  let sent = 0;
  void (async () => {
    for (let start = 0; start < body.length; start += CHUNK) {
      await new Promise<void>((resolve) =>
        stream.write(body.subarray(start, start + CHUNK), () => resolve()),
      );
      sent = start;
    }
    stream.end();
  })();
  const [first, second, third] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  let before = -1;
  while (before !== sent) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.ok(sent < 2 * MIB, `${sent} bytes went`);
  t.same(
    raws.map(({ told }) => told),
    [[], [], []],
  );
  t.equal(shadowBytes(), 0);
  t.ok(heldBytes() > 0, 'charged to the client');
  // One of the two goes on: the other is left behind.
  second!.send(windowUpdate(1, 2 ** 30));
  t.ok((await requestOn(second!)).equals(body));
  t.ok((await requestOn(first!)).equals(body));
  t.ok(await wasCancelled(third!));
  answerOn(first!);
  answerOn(second!);
  t.equal(status(await response), '0');
  await eventually('nothing is held', () => shadowBytes() === 0 && heldBytes() === 0);
});

behaviour('a member that is needed again when another fails gets all that has waited', async (t, world) => {
  const { raws, client } = await rawQuorum(world, 1, [2 ** 30, 0]);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  const body = messageOf(3 * MIB);
  await upload(stream, body.subarray(0, 10 * CHUNK));
  const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  await first!.until(() => dataOf(first!.of(1, FrameType.DATA)).length === 10 * CHUNK);
  t.ok(shadowBytes() > 0, 'charged to nobody');
  first!.send(headers(1, [...RESPONSE, 'grpc-status', '9'], END));
  await eventually('the first has failed', () => raws[0]!.told.length === 1);
  const rest = upload(stream, body.subarray(10 * CHUNK)).then(() => stream.end());
  await second!.roundTrip();
  t.same(raws[1]!.told, []);
  await eventually('charged to the client again', () => shadowBytes() === 0 && heldBytes() > 5 * CHUNK);
  second!.send(windowUpdate(1, 2 ** 30));
  t.ok((await requestOn(second!)).equals(body));
  await rest;
  answerOn(second!);
  t.equal(status(await response), '0');
});

behaviour('a member that is connecting does not hold up a quorum that can do without', async (t, world) => {
  const connecting = await world.frameBackend();
  // Where nobody listens, nor will: a port that was free a moment ago may be another test's by now.
  const nobody = 1;
  const good = await world.http2Backend(answer);
  const of = [connecting.port, nobody, good.port].map((port) => ({ conn: world.dial(port) }));
  const { client, results } = await shadowed(world, { secondaries: { of, need: 1 } });
  t.equal(status(await within(3000, 'the call', client.call(METHOD, MESSAGE))), '0');
  const connection = await connecting.accept();
  connection.send(settings());
  t.ok((await requestOn(connection)).equals(MESSAGE));
  answerOn(connection);
  t.same(await results(), ['ok']);
});

behaviour('a quorum waits for a member that is connecting and that it needs', async (t, world) => {
  const connecting = await world.frameBackend();
  const good = await world.http2Backend(answer);
  const of = [connecting.port, good.port].map((port) => ({ conn: world.dial(port) }));
  const { client } = await shadowed(world, { secondaries: { of, need: 2 } });
  const call: Promise<Response> = client.call(METHOD, MESSAGE);
  const connection = await connecting.accept();
  await client.roundTrip();
  connection.send(settings());
  t.ok((await requestOn(connection)).equals(MESSAGE));
  t.ok(await isPending(call, connection));
  answerOn(connection);
  t.equal(status(await call), '0');
});

behaviour('members that cannot be opened: the call fails once too few are left', async (t, world) => {
  // Where nobody listens, nor will: a port that was free a moment ago may be another test's by now.
  const nobody = 1;
  const good = await world.http2Backend(answer);
  for (const [need, code] of [
    [1, '0'],
    [2, '13'],
  ] as const) {
    const of = [nobody, good.port].map((port) => ({ conn: world.dial(port) }));
    const { client } = await shadowed(world, { secondaries: { of, need } });
    const response = await within(3000, 'the call', client.call(METHOD, MESSAGE));
    t.equal(status(response), code);
    if (need === 2)
      t.match(
        message(response),
        /^failed proxying to secondary: 127\.0\.0\.1:\d+: initiate secondary stream: /,
      );
  }
});

behaviour('once a quorum is impossible, it holds the client back no more', async (t, world) => {
  const { raws, client } = await rawQuorum(world, 2, [2 ** 30, 0], answer);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  const body = messageOf(4 * MIB);
  let isWhole = false;
  const uploaded = upload(stream, body).then(() => {
    isWhole = true;
    stream.end();
  });
  const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  await second!.first(1, FrameType.HEADERS);
  await eventually('the client is held back', () => heldBytes() > CHUNK);
  t.notOk(isWhole);
  first!.send(headers(1, [...RESPONSE, 'grpc-status', '9'], END));
  await within(15_000, 'the upload', uploaded);
  t.equal(status(await within(3000, 'the call', response)), '13');
});
