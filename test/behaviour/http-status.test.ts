import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type CallOutcome, Code, encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import type { OnRequest } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';
import { dialled, MESSAGE, METHOD, message, proxied, status } from '../support/unary.js';

// "This table is to be used only for clients that received a response that did not include grpc-status. If grpc-status
// was provided, it must be used" (http-grpc-status-mapping.md).

const GRPC = { 'content-type': 'application/grpc' };

/** Answers with a status of HTTP, some bytes, and trailers. */
function answer(httpStatus: number, body: Buffer, trailers: OutgoingHttpHeaders, headers = GRPC): OnRequest {
  return ({ stream }) => {
    stream.respond({ ':status': httpStatus, ...headers }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(body);
  };
}

/** Answers with headers, and then does something else than end by trailers. */
function broken(then: (stream: ServerHttp2Stream) => void): OnRequest {
  return ({ stream }) => {
    stream.respond({ ':status': 503, ...GRPC });
    then(stream);
  };
}

async function ask(world: World, onRequest: OnRequest) {
  const { destinations } = await dialled(world, [onRequest]);
  return (await proxied(world, destinations[0]!)).call(METHOD, MESSAGE);
}

const NOT_FOUND = { 'grpc-status': '5', 'grpc-message': 'not here', 'x-detail': 'd' };

behaviour('a grpc-status counts whatever the HTTP status is', async (t, world) => {
  const bodies = [Buffer.alloc(0), MESSAGE, encodeMessage(Buffer.alloc(1024 * 1024)), Buffer.from('no gRPC')];
  const answers = bodies.map((body) => answer(500, body, NOT_FOUND));
  answers.push(({ stream }) =>
    stream.respond({ ':status': 500, ...GRPC, ...NOT_FOUND }, { endStream: true }),
  );
  for (const onRequest of answers) {
    const response = await ask(world, onRequest);
    t.strictSame([status(response), message(response)], [String(Code.NOT_FOUND), 'not here']);
    t.equal(fieldValue(response.trailers ?? response.headers, 'x-detail'), 'd');
    t.equal(response.data.length, 0);
    t.equal(fieldValue(response.headers, ':status'), '200');
  }
});

behaviour('without a grpc-status the HTTP status says what failed', async (t, world) => {
  const cases: (readonly [OnRequest, Code, number])[] = [
    [answer(503, Buffer.alloc(0), { 'x-detail': 'd' }), Code.UNAVAILABLE, 503],
    [answer(403, MESSAGE, {}), Code.PERMISSION_DENIED, 403],
    [broken((stream) => stream.end()), Code.UNAVAILABLE, 503],
    [broken((stream) => stream.end(MESSAGE)), Code.UNAVAILABLE, 503],
    // What OK is said of was dropped.
    [answer(500, MESSAGE, { 'grpc-status': '0' }), Code.UNKNOWN, 500],
  ];
  for (const [onRequest, code, httpStatus] of cases) {
    const response = await ask(world, onRequest);
    t.equal(status(response), String(code));
    t.match(message(response), new RegExp(`answered with HTTP status ${httpStatus}$`));
  }
});

behaviour('a page without a body is told as gRPC, by a content-type of it', async (t, world) => {
  const answers: readonly (readonly [OutgoingHttpHeaders, Code])[] = [
    [{ ':status': 404, 'content-type': 'text/html' }, Code.UNIMPLEMENTED],
    [{ ':status': 503, 'content-type': 'text/html', 'grpc-status': '14' }, Code.UNAVAILABLE],
    [{ ':status': 200, 'content-type': 'application/grpc-web', 'grpc-status': '5' }, Code.NOT_FOUND],
  ];
  for (const [headers, code] of answers) {
    const response = await ask(world, ({ stream }) => stream.respond(headers, { endStream: true }));
    t.equal(status(response), String(code));
    // Else clients say UNKNOWN, whatever the status.
    t.equal(fieldValue(response.headers, 'content-type'), 'application/grpc');
  }
});

behaviour('an OK behind an HTTP error is told as a fault of the backend', async (t, world) => {
  const { destinations } = await dialled(world, [answer(500, MESSAGE, { 'grpc-status': '0' })]);
  const outcome = deferred<CallOutcome>();
  const observer = { onCall: outcome.resolve };
  const proxy = await world.proxy(() => ({ primary: destinations[0]! }), { observer });
  await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.match(await outcome.promise, { failure: { error: { code: Code.UNKNOWN }, reason: 'backend_protocol' } });
});

behaviour('a stream that is reset behind an HTTP error has that error', async (t, world) => {
  const { destinations } = await dialled(world, [
    broken((stream) => {
      stream.write(MESSAGE);
      stream.on('data', () => stream.close(2));
    }),
  ]);
  const response = await (await proxied(world, destinations[0]!)).call(METHOD, MESSAGE);
  t.equal(status(response), String(Code.UNAVAILABLE));
  t.match(message(response), /answered with HTTP status 503$/);
});

behaviour('an answer that is not of gRPC ends the call at its headers', async (t, world) => {
  const reset = deferred<number>();
  const response = await ask(world, ({ stream }) => {
    stream.on('close', () => reset.resolve(stream.rstCode));
    // And then nothing.
    stream.respond({ ':status': 502, 'content-type': 'text/html' });
  });
  t.equal(status(response), String(Code.UNAVAILABLE));
  t.equal(await reset.promise, 8, 'CANCEL');
});
